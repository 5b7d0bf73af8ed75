import type { FractionalPercent } from '../../policies/fraction.ts'
import type { RuntimeFractionalPercent } from '../gen/envoy/config/core/v3/base_pb.ts'
import type { FractionalPercent as FractionalPercentMessage, Percent } from '../gen/envoy/type/v3/percent_pb.ts'
import type { Problems } from './problems.ts'

const denominators = [100, 10_000, 1_000_000] as const

/** Decodes `envoy.type.v3.FractionalPercent`; an absent one is 0 of 100. */
export function decodeFractionalPercent(message: FractionalPercentMessage | undefined, problems: Problems): FractionalPercent {
  if (message === undefined) return { numerator: 0, denominator: 100 }
  const denominator = denominators[message.denominator]
  if (denominator === undefined) {
    problems.addAt('denominator', `must be HUNDRED, TEN_THOUSAND or MILLION, got ${message.denominator}`)
    return { numerator: 0, denominator: 100 }
  }
  return { numerator: message.numerator, denominator }
}

/** Decodes `RuntimeFractionalPercent`: this process has no runtime, so the default counts. */
export function decodeRuntimeFraction(message: RuntimeFractionalPercent, problems: Problems): FractionalPercent {
  if (message.defaultValue === undefined) problems.addAt('default_value', 'is required')
  return decodeFractionalPercent(message.defaultValue, problems.at('default_value'))
}

/** Decodes `envoy.type.v3.Percent`: 0 to 100, a fraction allowed. */
export function decodePercent(message: Percent | undefined, fallback: number, problems: Problems): number {
  if (message === undefined) return fallback
  if (!(message.value >= 0 && message.value <= 100)) problems.add(`must be in [0, 100], got ${message.value}`)
  return message.value
}

/** Checks a whole percentage held by a plain number field. */
export function checkPercent(value: number | undefined, fallback: number, problems: Problems, field: string): number {
  if (value === undefined) return fallback
  if (value > 100) problems.addAt(field, `must be <= 100, got ${value}`)
  return value
}
