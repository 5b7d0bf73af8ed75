import type { GatewayRoute } from '../../model/gateway-route.ts'
import type { ObjectMeta } from '../../model/object-meta.ts'
import type { Value } from '../value.ts'
import { readBackends } from './read-backends.ts'
import { filterSets, readFilters } from './read-filters.ts'
import { everyCall, readGatewayGrpcMatch } from './read-gateway-grpc-match.ts'
import { readRouteSpec } from './read-route-spec.ts'
import { forwardOrRefuse, type RuleAction } from './read-rules.ts'

const ruleFields = ['name', 'matches', 'filters', 'backendRefs', 'sessionPersistence'] as const

/** Reads the spec of a GRPCRoute that is bound to services. */
export function readGatewayGrpcRoute(meta: ObjectMeta, spec: Value): GatewayRoute {
  return readRouteSpec(meta, spec, 'grpc', {
    everything: everyCall,
    readMatch: readGatewayGrpcMatch,
    readAction: rule => readAction(rule, meta.namespace),
  })
}

/** A status of 503 is UNAVAILABLE to a caller of gRPC. */
function readAction(rule: Value, namespace: string): RuleAction {
  const fields = rule.fields(...ruleFields)
  if (!fields.sessionPersistence.isAbsent)
    fields.sessionPersistence.error('is not supported: write loadBalancer.consistentHash in a DestinationRule')
  const { headers, mirrors } = readFilters(fields.filters, filterSets.grpcRule, namespace)
  return {
    action: forwardOrRefuse({
      kind: 'forward',
      destinations: readBackends(fields.backendRefs, filterSets.grpcBackend, namespace),
      rewrite: undefined,
      timeoutMs: undefined,
      retries: undefined,
      mirrors,
      missingStatus: 503,
    }),
    headers,
  }
}
