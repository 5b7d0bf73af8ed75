import type { DescEnum } from '@bufbuild/protobuf'

/** The name of a value as an operator writes it; the number where this version of the schema has no name for it. */
export function enumName(schema: DescEnum, value: number | undefined): string {
  return schema.value[value ?? 0]?.name ?? String(value)
}
