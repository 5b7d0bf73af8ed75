import type { CorsPolicy } from '../model/virtual-service.ts'
import { readDurationMs } from './duration.ts'
import { isHeaderName } from './names.ts'
import { readStringMatch } from './read-string-match.ts'
import type { Value } from './value.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', '*'] as const

/** Reads `http[].corsPolicy`. */
export function readCors(value: Value): CorsPolicy | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields(
    'allowOrigin',
    'allowOrigins',
    'allowMethods',
    'allowHeaders',
    'exposeHeaders',
    'maxAge',
    'allowCredentials',
    'unmatchedPreflights',
  )
  const maxAgeMs = readDurationMs(fields.maxAge)
  if (maxAgeMs !== undefined && maxAgeMs % 1000 !== 0) fields.maxAge.error('must be whole seconds')
  const exact = fields.allowOrigin.items().map(item => ({ kind: 'exact' as const, value: item.asString() ?? '' }))
  return {
    allowOrigins: fields.allowOrigins.isAbsent ? exact : fields.allowOrigins.items().flatMap(readOrigin),
    allowMethods: fields.allowMethods.items().flatMap(item => item.asOneOf(methods) ?? []),
    allowHeaders: readHeaderNames(fields.allowHeaders),
    exposeHeaders: readHeaderNames(fields.exposeHeaders),
    maxAgeSeconds: maxAgeMs === undefined ? undefined : Math.floor(maxAgeMs / 1000),
    allowCredentials: fields.allowCredentials.asBoolean(),
    forwardUnmatchedPreflights: fields.unmatchedPreflights.asOneOf(['UNSPECIFIED', 'FORWARD', 'IGNORE']) !== 'IGNORE',
  }
}

function readOrigin(value: Value) {
  const match = readStringMatch(value.required())
  if (match === undefined) return []
  if (match.kind === 'present' || match.value === '') value.error('must have a value in exact, prefix or regex')
  return [match]
}

function readHeaderNames(value: Value): readonly string[] {
  return value.items().map(item => {
    const name = item.asString() ?? ''
    if (name !== '*' && !isHeaderName(name)) item.error(`is not a header name: ${JSON.stringify(name)}`)
    return name
  })
}
