import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcherSchema,
  type RouteMatch,
  RouteMatchSchema,
} from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { RegexMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/regex_pb'
import { compareText } from '../model/object-meta.ts'
import type { StringMatch } from '../model/string-match.ts'
import type { HttpMatch, PathMatch } from '../model/virtual-service.ts'
import { stringMatcher } from './string-matcher.ts'
import type { View } from './view.ts'

/** Matches everything. */
export const everything = (): RouteMatch => create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value: '/' } })

/** Translates what a request must look like. Port and source are the caller's business: they are not part of a route. */
export function translateMatch(match: HttpMatch, view: View): RouteMatch {
  const { method, authority, scheme } = match
  return create(RouteMatchSchema, {
    pathSpecifier: pathSpecifier(match.uri, view),
    caseSensitive: !match.ignoreUriCase,
    headers: [
      ...[
        ...Array.from(match.headers, ([name, each]) => headerMatcher(name, each, false)),
        ...Array.from(match.withoutHeaders, ([name, each]) => headerMatcher(name, each, true)),
      ].sort((a, b) => compareText(a.name, b.name)),
      ...(method ? [headerMatcher(':method', method, false)] : []),
      ...(authority ? [headerMatcher(':authority', authority, false)] : []),
      ...(scheme ? [headerMatcher(':scheme', scheme, false)] : []),
    ],
    queryParameters: [...match.queryParams]
      .sort(([a], [b]) => compareText(a, b))
      .map(([name, each]) => queryParameterMatcher(name, each)),
  })
}

/** Whether no request can get past the route. */
export function isCatchAll({ pathSpecifier: path, headers, queryParameters }: RouteMatch): boolean {
  const isAnyPath = (path.case === 'prefix' && path.value === '/') || (path.case === 'safeRegex' && path.value.regex === '.*')
  return isAnyPath && headers.length === 0 && queryParameters.length === 0
}

function pathSpecifier(uri: PathMatch | undefined, { kind, agent }: View): RouteMatch['pathSpecifier'] {
  switch (uri?.kind) {
    case 'exact':
      return { case: 'path', value: uri.value }
    case 'prefix':
      return { case: 'prefix', value: uri.value }
    case 'path-prefix':
      if (kind === 'envoy' || agent === 'inmesh') return { case: 'pathSeparatedPrefix', value: uri.value }
      // Clients of gRPC refuse the whole route configuration for a specifier that they do not know (gRFC A28).
      return { case: 'safeRegex', value: create(RegexMatcherSchema, { regex: `${escapeRegex(uri.value)}(/.*)?` }) }
    case 'regex':
      return { case: 'safeRegex', value: create(RegexMatcherSchema, { regex: uri.value }) }
    default:
      return { case: 'prefix', value: '/' }
  }
}

const escapeRegex = (text: string) => text.replaceAll(/[^\w/]/g, '\\$&')

/** A header that is absent counts as empty where it must not have a value, so that absence is fine. */
function headerMatcher(name: string, match: StringMatch, invert: boolean): HeaderMatcher {
  if (match.kind === 'present') {
    return create(HeaderMatcherSchema, {
      name,
      headerMatchSpecifier: { case: 'presentMatch', value: true },
      invertMatch: invert,
    })
  }
  return create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier: { case: 'stringMatch', value: stringMatcher(match) },
    invertMatch: invert,
    treatMissingHeaderAsEmpty: invert,
  })
}

function queryParameterMatcher(name: string, match: StringMatch): MessageInitShape<typeof QueryParameterMatcherSchema> {
  if (match.kind === 'present') return { name, queryParameterMatchSpecifier: { case: 'presentMatch', value: true } }
  return { name, queryParameterMatchSpecifier: { case: 'stringMatch', value: stringMatcher(match) } }
}
