import { RE2JS } from 're2js'
import type { Value } from './value.ts'

/** Longest regular expression Istio takes. */
const maxLength = 1024

/** An RE2 regular expression. */
export function readRegex(value: Value): string | undefined {
  const regex = value.asString()
  if (regex === undefined) return undefined
  if (regex === '') value.error('must not be empty')
  else if (regex.length > maxLength) value.error(`is longer than ${maxLength} characters`)
  else {
    const fault = regexFault(regex)
    if (fault === undefined) return regex
    value.error(`is not an RE2 regular expression: ${fault}`)
  }
  return undefined
}

function regexFault(regex: string): string | undefined {
  try {
    RE2JS.compile(regex)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
