import type { QueryParameterMatcher } from '../../policies/query-parameter-matcher.ts'
import type { QueryParameterMatcher as QueryParameterMatcherMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'

/** Decodes `envoy.config.route.v3.QueryParameterMatcher`. Without a specifier it asks for presence. */
export function decodeQueryParameterMatcher(message: QueryParameterMatcherMessage, problems: Problems): QueryParameterMatcher {
  problems.required('name', message.name)
  const specifier = message.queryParameterMatchSpecifier
  if (specifier.case === 'stringMatch') {
    const matcher = decodeStringMatcher(specifier.value, problems.at('string_match'))
    return { name: message.name, match: { kind: 'string', matcher } }
  }
  return { name: message.name, match: { kind: 'present', present: specifier.value ?? true } }
}
