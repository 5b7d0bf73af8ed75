/** The name of a value as an operator writes it; the number where this version of the schema has no name for it. */
export function enumName(values: Readonly<Record<string, number>>, value: number | undefined): string {
  const number = value ?? 0
  return Object.entries(values).find(([, each]) => each === number)?.[0] ?? String(number)
}
