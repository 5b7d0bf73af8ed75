import type { Value } from './value.ts'

/** What a text must look like: gives what is wrong with it, or `undefined`. */
export type TextCheck = (text: string) => string | undefined

/** Reads a list of texts, none of them empty. */
export function readTexts(value: Value, check: TextCheck = () => undefined): readonly string[] {
  return value.items().flatMap(item => {
    const text = item.required().asString()
    if (text === undefined) return []
    const fault = text === '' ? 'must not be empty' : check(text)
    if (fault !== undefined) item.error(fault)
    return [text]
  })
}
