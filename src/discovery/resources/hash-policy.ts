import type { HashPolicy } from '../../policies/hash-policy.ts'
import type { RouteAction_HashPolicy } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import { optionalDurationMs } from './duration.ts'
import type { Problems } from './problems.ts'
import { decodeRegexSubstitution } from './regex.ts'

/** Decodes `RouteAction.HashPolicy`. A specifier that says nothing (`source_ip: false`) or is unknown gives no policy (gRFC A42). */
export function decodeHashPolicy(message: RouteAction_HashPolicy, problems: Problems): HashPolicy | undefined {
  const source = decodeSource(message, problems)
  return source === undefined ? undefined : { source, terminal: message.terminal }
}

function decodeSource(message: RouteAction_HashPolicy, problems: Problems): HashPolicy['source'] | undefined {
  const { policySpecifier } = message
  switch (policySpecifier.case) {
    case 'header': {
      const { headerName, regexRewrite } = policySpecifier.value
      const at = problems.at('header')
      return {
        kind: 'header',
        name: at.required('header_name', headerName).toLowerCase(),
        rewrite: regexRewrite === undefined ? undefined : decodeRegexSubstitution(regexRewrite, at.at('regex_rewrite')),
      }
    }
    case 'cookie': {
      const { name, ttl, path } = policySpecifier.value
      const at = problems.at('cookie')
      return {
        kind: 'cookie',
        name: at.required('name', name),
        ttlMs: optionalDurationMs(ttl, 'non-negative', at, 'ttl'),
        path,
      }
    }
    case 'connectionProperties':
      return policySpecifier.value.sourceIp ? { kind: 'source-ip' } : undefined
    case 'queryParameter':
      return { kind: 'query-parameter', name: problems.at('query_parameter').required('name', policySpecifier.value.name) }
    case 'filterState':
      return { kind: 'filter-state', key: problems.at('filter_state').required('key', policySpecifier.value.key) }
    default:
      return undefined
  }
}
