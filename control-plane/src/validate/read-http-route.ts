import type { HttpForward, HttpMatch, HttpRoute } from '../model/virtual-service.ts'
import { readDurationMs } from './duration.ts'
import { isAuthorityHeader, readHeaderOperations } from './header-operations.ts'
import { readCors } from './read-cors.ts'
import { readFault } from './read-fault.ts'
import { readDirectResponse, readMirrors, readRedirect, readRewrite, readRoute } from './read-http-action.ts'
import { readHttpMatch } from './read-http-match.ts'
import { readRetries } from './read-retries.ts'
import type { Value } from './value.ts'

/** Reads one rule of `spec.http`. */
export function readHttpRoute(value: Value, namespace: string): HttpRoute {
  const fields = value
    .required()
    .fields(
      'name',
      'match',
      'route',
      'redirect',
      'directResponse',
      'delegate',
      'rewrite',
      'timeout',
      'retries',
      'fault',
      'mirror',
      'mirrors',
      'mirrorPercentage',
      'mirrorPercent',
      'mirror_percent',
      'corsPolicy',
      'headers',
    )
  const { route, redirect, directResponse, delegate } = fields
  if (!delegate.isAbsent) delegate.error('is not supported: put the rules into this VirtualService')
  const chosen = [redirect, directResponse].find(each => !each.isAbsent)
  if (chosen) {
    for (const name of ['route', 'fault', 'rewrite'] as const) {
      const field = fields[name]
      const isEmptyRoute = name === 'route' && field.items().length === 0
      if (!field.isAbsent && !isEmptyRoute) field.error(`excludes ${chosen === redirect ? 'redirect' : 'directResponse'}`)
    }
    if (chosen === redirect && !directResponse.isAbsent) directResponse.error('excludes redirect')
  } else if (route.items().length === 0 && delegate.isAbsent) value.error('must have route, redirect or directResponse')

  const matches = fields.match.items().map(readHttpMatch)
  const rewrite = readRewrite(fields.rewrite)
  const headers = readHeaderOperations(fields.headers)
  checkOneAuthority(rewrite?.authority ?? '', headers, value)
  const forward: HttpForward = {
    kind: 'forward',
    destinations: readRoute(route, namespace),
    rewrite,
    timeoutMs: readDurationMs(fields.timeout),
    retries: readRetries(fields.retries),
    mirrors: readMirrors(fields, namespace),
    missingStatus: 503,
  }
  const redirected = redirect.isAbsent ? undefined : readRedirect(redirect, matches.every(hasPrefixOrNoPath))
  const answered = directResponse.isAbsent ? undefined : readDirectResponse(directResponse)
  return {
    name: fields.name.asString() ?? '',
    matches,
    action: redirected ?? answered ?? forward,
    headers,
    fault: readFault(fields.fault),
    cors: readCors(fields.corsPolicy),
  }
}

const hasPrefixOrNoPath = ({ uri }: HttpMatch) => uri === undefined || uri.kind === 'prefix'

function checkOneAuthority(rewritten: string, headers: HttpRoute['headers'], value: Value): void {
  const names = headers ? [...headers.request.set.keys(), ...headers.request.add.keys()] : []
  const setters = names.filter(isAuthorityHeader).length + (rewritten === '' ? 0 : 1)
  if (setters > 1) value.error('sets the authority more than once')
}
