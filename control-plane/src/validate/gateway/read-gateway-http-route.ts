import type { GatewayRoute } from '../../model/gateway-route.ts'
import type { ObjectMeta } from '../../model/object-meta.ts'
import type { Value } from '../value.ts'
import { readBackends } from './read-backends.ts'
import { filterSets, readFilters } from './read-filters.ts'
import { readGatewayRedirect, readGatewayRewrite } from './read-gateway-action.ts'
import { everyRequest, type RankedMatch, readGatewayHttpMatch } from './read-gateway-http-match.ts'
import { readTimeoutsAndRetries } from './read-gateway-retries.ts'
import { readRouteSpec } from './read-route-spec.ts'
import { forwardOrRefuse, type RuleAction } from './read-rules.ts'

const ruleFields = ['name', 'matches', 'filters', 'backendRefs', 'timeouts', 'retry', 'sessionPersistence'] as const

/** Reads the spec of an HTTPRoute that is bound to services. */
export function readGatewayHttpRoute(meta: ObjectMeta, spec: Value): GatewayRoute {
  return readRouteSpec(meta, spec, 'http', {
    everything: everyRequest,
    readMatch: readGatewayHttpMatch,
    readAction: (rule, match, isOnlyMatch) => readAction(rule, match, isOnlyMatch, meta.namespace),
  })
}

function readAction(rule: Value, { prefix }: RankedMatch, isOnlyMatch: boolean, namespace: string): RuleAction {
  const fields = rule.fields(...ruleFields)
  if (!fields.sessionPersistence.isAbsent)
    fields.sessionPersistence.error('is not supported: write loadBalancer.consistentHash in a DestinationRule')
  const { headers, mirrors, redirect, rewrite } = readFilters(fields.filters, filterSets.httpRule, namespace)
  const destinations = readBackends(fields.backendRefs, filterSets.httpBackend, namespace)
  const limits = readTimeoutsAndRetries(fields.timeouts, fields.retry)
  const replaced = isOnlyMatch ? prefix : undefined
  if (redirect) {
    if (fields.backendRefs.items().length > 0) fields.backendRefs.error('excludes the filter RequestRedirect')
    return { action: readGatewayRedirect(redirect, replaced), headers }
  }
  return {
    action: forwardOrRefuse({
      kind: 'forward',
      destinations,
      rewrite: rewrite && readGatewayRewrite(rewrite, replaced),
      ...limits,
      mirrors,
      missingStatus: 500,
    }),
    headers,
  }
}
