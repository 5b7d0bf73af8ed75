import type { WeightedDestination } from '../../model/virtual-service.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'
import { type FilterSet, readFilters } from './read-filters.ts'
import { readReference, referenceFields } from './read-reference.ts'

/** Most backends of a rule, and their greatest weight. */
const maxBackends = 16
const maxWeight = 1_000_000

/** Reads `backendRefs`, without those that have the weight 0. No ReferenceGrant is asked for, as GEP-1426 has it for a mesh. */
export function readBackends(value: Value, filters: FilterSet, namespace: string): readonly WeightedDestination[] {
  checkCount(value, maxBackends)
  return value.items().flatMap(item => {
    const fields = item.required().fields(...referenceFields, 'weight', 'filters')
    const destination = readReference(fields, namespace)
    const weight = fields.weight.asInteger(0, maxWeight) ?? 1
    const { headers } = readFilters(fields.filters, filters, namespace)
    return destination && weight > 0 ? [{ destination, weight, headers }] : []
  })
}
