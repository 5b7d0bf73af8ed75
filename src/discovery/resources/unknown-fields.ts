import type { Message } from '@bufbuild/protobuf'
import type { Problems } from './problems.ts'

/**
 * Refuses fields that this version does not know, at any depth: one of them may say who is not to be let in (gRFC A29). A message inside an
 * `Any` is not looked into.
 */
export function refuseUnknownFields(message: Message, problems: Problems): void {
  const numbers = new Set<number>()
  collect(message, numbers)
  if (numbers.size > 0)
    problems.add(`has fields that are not known here, of number ${[...numbers].sort((a, b) => a - b).join(', ')}`)
}

function collect(value: unknown, numbers: Set<number>): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return
  for (const [key, each] of Object.entries(value)) {
    if (key === '$unknown' && Array.isArray(each)) for (const { no } of each) numbers.add(no)
    else collect(each, numbers)
  }
}
