import type { Mirror } from '../../model/virtual-service.ts'
import type { Value } from '../value.ts'
import { readBackend } from './read-reference.ts'

/** Reads the settings of RequestMirror: every call unless `percent` or `fraction` says less. `undefined` for a mirror that gets nothing. */
export function readMirror(value: Value, namespace: string): Mirror | undefined {
  const { backendRef, percent, fraction } = value.fields('backendRef', 'percent', 'fraction')
  if (!percent.isAbsent && !fraction.isAbsent) value.error('may have only one of percent and fraction')
  const destination = readBackend(backendRef.required(), namespace)
  const percentage = readFraction(fraction) ?? percent.asInteger(0, 100) ?? 100
  return destination && percentage > 0 ? { destination, percentage } : undefined
}

/** In percent. */
function readFraction(value: Value): number | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields('numerator', 'denominator')
  const numerator = fields.numerator.required().asInteger(0, 0x7fff_ffff) ?? 0
  const denominator = fields.denominator.asInteger(1, 0x7fff_ffff) ?? 100
  if (numerator > denominator) value.error('must have a numerator that is not above the denominator')
  return (100 * numerator) / denominator
}
