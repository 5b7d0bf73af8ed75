import type { GatewayRoute } from '../../model/gateway-route.ts'
import type { ObjectMeta } from '../../model/object-meta.ts'
import { wildcardDomainFault } from '../names.ts'
import type { Value } from '../value.ts'
import { checkCount } from './check-count.ts'
import { readParents } from './read-parents.ts'
import { forwardOrRefuse, type RuleKind, readRules } from './read-rules.ts'

/** Most host names of a route. */
const maxHostnames = 16

/**
 * Reads what the specs of HTTPRoute and GRPCRoute have in common. Rules of a route that is bound to no service are not looked at: they
 * may be for a gateway that knows more.
 */
export function readRouteSpec(meta: ObjectMeta, spec: Value, type: GatewayRoute['type'], kind: RuleKind): GatewayRoute {
  const fields = spec.required().fields('parentRefs', 'useDefaultGateways', 'hostnames', 'rules')
  const parents = readParents(fields.parentRefs, meta)
  if (parents.length === 0) return { meta, type, parents, rules: [] }
  checkHostnames(fields.hostnames)
  const rules = readRules(fields.rules, meta, kind)
  return { meta, type, parents, rules: rules.length > 0 || type === 'grpc' ? rules : [refuseAll(meta, kind)] }
}

/** What the Gateway API makes of an HTTPRoute without rules: every request is its, and there is nobody to send it to. */
function refuseAll({ namespace, name }: ObjectMeta, { everything }: RuleKind): GatewayRoute['rules'][number] {
  const action = forwardOrRefuse({
    kind: 'forward',
    destinations: [],
    rewrite: undefined,
    timeoutMs: undefined,
    retries: undefined,
    mirrors: [],
    missingStatus: 500,
  })
  const route = {
    name: `${namespace}.${name}.0`,
    matches: [everything.match],
    action,
    headers: undefined,
    fault: undefined,
    cors: undefined,
  }
  return { index: 0, precedence: everything.precedence, route }
}

function checkHostnames(value: Value): void {
  checkCount(value, maxHostnames)
  for (const item of value.items()) {
    const fault = wildcardDomainFault(item.required().asString() ?? '')
    if (fault !== undefined) item.error(fault)
  }
  if (value.items().length > 0) value.warn('has no effect on calls inside the mesh: the Service that is called decides')
}
