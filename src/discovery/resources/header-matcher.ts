import type { HeaderMatcher } from '../../policies/header-matcher.ts'
import type { StringMatcher } from '../../policies/string-matcher.ts'
import type { HeaderMatcher as HeaderMatcherMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { Problems } from './problems.ts'
import { decodeRegex } from './regex.ts'
import { decodeStringMatcher } from './string-matcher.ts'

/** Decodes `envoy.config.route.v3.HeaderMatcher`, the deprecated specifiers included. Without one it asks for presence. */
export function decodeHeaderMatcher(message: HeaderMatcherMessage, problems: Problems): HeaderMatcher {
  problems.required('name', message.name)
  return {
    name: message.name.toLowerCase(),
    match: decodeMatch(message, problems),
    invert: message.invertMatch,
    treatMissingAsEmpty: message.treatMissingHeaderAsEmpty,
  }
}

/** Decodes a list of header matchers. */
export function decodeHeaderMatchers(
  messages: readonly HeaderMatcherMessage[],
  problems: Problems,
  field: string,
): readonly HeaderMatcher[] {
  return messages.map((message, index) => decodeHeaderMatcher(message, problems.at(field, index)))
}

function decodeMatch(message: HeaderMatcherMessage, problems: Problems): HeaderMatcher['match'] {
  const specifier = message.headerMatchSpecifier
  switch (specifier.case) {
    case 'stringMatch':
      return { kind: 'string', matcher: decodeStringMatcher(specifier.value, problems.at('string_match')) }
    case 'safeRegexMatch':
      return {
        kind: 'string',
        matcher: { kind: 'regex', regex: decodeRegex(specifier.value, problems.at('safe_regex_match')) },
      }
    case 'exactMatch':
      return literal('exact', specifier.value)
    case 'prefixMatch':
      return literal('prefix', problems.required('prefix_match', specifier.value))
    case 'suffixMatch':
      return literal('suffix', problems.required('suffix_match', specifier.value))
    case 'containsMatch':
      return literal('contains', problems.required('contains_match', specifier.value))
    case 'presentMatch':
      return { kind: 'present', present: specifier.value }
    case 'rangeMatch': {
      const { start, end } = specifier.value
      return { kind: 'range', start: Number(start), end: Number(end) }
    }
    default:
      return { kind: 'present', present: true }
  }
}

function literal(kind: Exclude<StringMatcher['kind'], 'regex'>, value: string): HeaderMatcher['match'] {
  return { kind: 'string', matcher: { kind, value, ignoreCase: false } }
}
