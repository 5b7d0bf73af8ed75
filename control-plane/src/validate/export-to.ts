import { isLabel } from './names.ts'
import type { Value } from './value.ts'

/** Checks `exportTo`, and says when it would have hidden something: every namespace sees everything here. */
export function checkExportTo(value: Value, namespace: string, mayBeNobody = false): void {
  const seen = new Set<string>()
  const names = value.items().map(item => item.required().asString() ?? '')
  for (const [index, name] of names.entries()) {
    const item = value.items()[index] ?? value
    const meant = name === '.' ? namespace : name
    if (seen.has(meant)) item.error(`${name} is there twice`)
    seen.add(meant)
    if (meant === '*' || isLabel(meant) || (meant === '~' && mayBeNobody)) continue
    item.error(`must be *, . or a namespace${mayBeNobody ? ', or ~' : ''}, got ${JSON.stringify(name)}`)
  }
  if (names.length > 1 && (seen.has('*') || (seen.has('~') && mayBeNobody))) value.error('* and ~ stand alone')
  else if (names.some(name => name !== '*')) value.warn('has no effect: every namespace sees it')
}
