import { compilePathTemplate } from '../../policies/path-template.ts'
import type { RouteMatch as RouteMatchMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import { uriTemplateMatchConfigType } from '../message-types.ts'
import type { PathMatch, RouteMatch } from '../model/route.ts'
import { readTypedConfig } from './any.ts'
import { decodeHeaderMatchers } from './header-matcher.ts'
import { decodeRuntimeFraction } from './percent.ts'
import type { Problems } from './problems.ts'
import { decodeQueryParameterMatcher } from './query-parameter-matcher.ts'
import { decodeRegex } from './regex.ts'

/**
 * Decodes `RouteMatch`.
 *
 * @returns `undefined` for a match that no request of a client meets: CONNECT, a downstream certificate, dynamic metadata
 */
export function decodeRouteMatch(message: RouteMatchMessage, problems: Problems): RouteMatch | undefined {
  if (isNeverMet(message)) return undefined
  return {
    path: decodePathMatch(message, problems),
    headers: decodeHeaderMatchers(message.headers, problems, 'headers'),
    queryParameters: message.queryParameters.map((parameter, index) =>
      decodeQueryParameterMatcher(parameter, problems.at('query_parameters', index)),
    ),
    runtimeFraction:
      message.runtimeFraction === undefined
        ? undefined
        : decodeRuntimeFraction(message.runtimeFraction, problems.at('runtime_fraction')),
    grpcOnly: message.grpc !== undefined,
  }
}

// A client has no downstream connection and no filter that makes metadata: a matcher on either is decided beforehand.
function isNeverMet(message: RouteMatchMessage): boolean {
  if (message.pathSpecifier.case === 'connectMatcher') return true
  if (message.tlsContext?.presented === true || message.tlsContext?.validated === true) return true
  return message.dynamicMetadata.some(matcher => !matcher.invert)
}

function decodePathMatch(message: RouteMatchMessage, problems: Problems): PathMatch {
  const specifier = message.pathSpecifier
  const ignoreCase = message.caseSensitive === false
  switch (specifier.case) {
    case 'path':
      return { kind: 'exact', value: specifier.value, ignoreCase }
    case 'prefix':
      return { kind: 'prefix', value: specifier.value, ignoreCase }
    case 'pathSeparatedPrefix': {
      const { value } = specifier
      if (!/^[^?#]+[^?#/]$/.test(value))
        problems.addAt('path_separated_prefix', `must have no ?, # or trailing / and two characters at least, got "${value}"`)
      return { kind: 'separated-prefix', value, ignoreCase }
    }
    case 'safeRegex':
      return { kind: 'regex', regex: decodeRegex(specifier.value, problems.at('safe_regex')) }
    case 'pathMatchPolicy':
      return { kind: 'template', template: decodePathTemplate(message, problems.at('path_match_policy')) }
    default:
      problems.addAt('path_specifier', 'is required')
      return { kind: 'exact', value: '', ignoreCase: false }
  }
}

function decodePathTemplate({ pathSpecifier }: RouteMatchMessage, problems: Problems): string {
  if (pathSpecifier.case !== 'pathMatchPolicy') return ''
  const typed = readTypedConfig(pathSpecifier.value.typedConfig)
  if (typed.type !== uriTemplateMatchConfigType.typeName) {
    problems.add(`"${typed.type}" is not supported`)
    return ''
  }
  const template = typed.as(uriTemplateMatchConfigType, problems)?.pathTemplate ?? ''
  try {
    compilePathTemplate(template)
  } catch (error) {
    problems.addAt('path_template', `"${template}" ${error instanceof Error ? error.message : String(error)}`)
  }
  return template
}
