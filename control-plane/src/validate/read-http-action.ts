import type { HttpDirectResponse, HttpRedirect, HttpRewrite, Mirror, WeightedDestination } from '../model/virtual-service.ts'
import { readHeaderOperations } from './header-operations.ts'
import { readPort } from './names.ts'
import { readDestination } from './read-destination.ts'
import { readRegex } from './regex.ts'
import type { Value } from './value.ts'

const redirectStatuses = [301, 302, 303, 307, 308] as const

/** Most bytes of a direct response. */
const maxBodyBytes = 1024 * 1024

/** Reads `http[].route`. The weights of several destinations need not make 100, but more than 0. */
export function readRoute(value: Value, namespace: string): readonly WeightedDestination[] {
  const destinations: WeightedDestination[] = []
  let total = 0
  let hasWrongWeight = false
  for (const item of value.items()) {
    const fields = item.required().fields('destination', 'weight', 'headers')
    const destination = readDestination(fields.destination.required(), namespace)
    const given = fields.weight.asInteger(0, 0x7fff_ffff)
    if (given === undefined && !fields.weight.isAbsent) hasWrongWeight = true
    const weight = given ?? 0
    const headers = readHeaderOperations(fields.headers)
    total += weight
    if (destination) destinations.push({ destination, weight, headers })
  }
  if (value.items().length > 1 && total === 0 && !hasWrongWeight)
    value.error('has several destinations, of which none has a weight above 0')
  if (total > 0xffff_ffff) value.error(`has weights that add up to more than ${0xffff_ffff}`)
  return destinations
}

/** Reads `http[].rewrite`. */
export function readRewrite(value: Value): HttpRewrite | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields('uri', 'authority', 'uriRegexRewrite')
  const uri = fields.uri.asString() ?? ''
  const authority = fields.authority.asString() ?? ''
  let uriRegex: HttpRewrite['uriRegex']
  if (!fields.uriRegexRewrite.isAbsent) {
    const regex = fields.uriRegexRewrite.fields('match', 'rewrite')
    const rewrite = regex.rewrite.required().asString()
    if (rewrite === '') regex.rewrite.error('must not be empty')
    uriRegex = { match: readRegex(regex.match.required()) ?? '', rewrite: rewrite ?? '' }
    if (uri !== '') value.error('may have only one of uri and uriRegexRewrite')
  } else if (uri === '' && authority === '') value.error('must have uri, uriRegexRewrite or authority')
  return { uri, uriRegex, authority }
}

/** Reads `http[].redirect`. `hasOnlyPrefixes` says that every path match of the rule is a prefix. */
export function readRedirect(value: Value, hasOnlyPrefixes: boolean): HttpRedirect {
  const fields = value.fields('uri', 'prefixRewrite', 'authority', 'port', 'derivePort', 'scheme', 'redirectCode')
  const uri = fields.uri.asString() ?? ''
  const prefixRewrite = fields.prefixRewrite.asString() ?? ''
  const authority = fields.authority.asString() ?? ''
  const scheme = fields.scheme.asString() ?? ''
  const derived = fields.derivePort.asOneOf(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'])
  const code = fields.redirectCode.asInteger(0, 0xffff_ffff) || 301
  const status = redirectStatuses.find(each => each === code)
  if (status === undefined) fields.redirectCode.error(`must be one of ${redirectStatuses.join(', ')}, got ${code}`)
  if (uri !== '' && prefixRewrite !== '') value.error('may have only one of uri and prefixRewrite')
  if (prefixRewrite !== '' && !hasOnlyPrefixes) fields.prefixRewrite.error('needs every uri match of the rule to be a prefix')
  if (!fields.port.isAbsent && !fields.derivePort.isAbsent) value.error('may have only one of port and derivePort')
  if ([uri, prefixRewrite, authority, scheme].every(text => text === '') && fields.port.isAbsent && fields.derivePort.isAbsent)
    value.error('must have uri, prefixRewrite, authority, scheme or port')
  if (scheme !== '' && scheme !== 'http' && scheme !== 'https') fields.scheme.error(`must be http or https, got ${scheme}`)
  const port = fields.port.asInteger(0, 0xffff_ffff) === 0 ? undefined : readPort(fields.port)
  return {
    kind: 'redirect',
    status: status ?? 301,
    uri,
    prefixRewrite,
    uriRegex: undefined,
    authority,
    scheme,
    port: derived === 'FROM_REQUEST_PORT' ? 'request' : port,
  }
}

/** Reads `http[].directResponse`. */
export function readDirectResponse(value: Value): HttpDirectResponse {
  const fields = value.fields('status', 'body')
  // Istio takes 600 too, which Envoy refuses together with the whole route configuration.
  const status = fields.status.required().asInteger(200, 599) ?? 200
  const { string, bytes } = fields.body.fields('string', 'bytes')
  if (!string.isAbsent && !bytes.isAbsent) fields.body.error('may have only one of string and bytes')
  const encoded = bytes.asString()
  if (encoded !== undefined && !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) bytes.error('must be base64')
  const body = encoded === undefined ? (string.asString() ?? '') : new Uint8Array(Buffer.from(encoded, 'base64'))
  if (Buffer.byteLength(body) > maxBodyBytes) fields.body.error(`must be at most ${maxBodyBytes} bytes`)
  return { kind: 'direct-response', status, body }
}

/** Reads `mirror` with `mirrorPercentage`, or `mirrors`. Mirrors that get nothing are left out. */
export function readMirrors(
  fields: Readonly<Record<'mirror' | 'mirrors' | 'mirrorPercentage' | 'mirrorPercent' | 'mirror_percent', Value>>,
  namespace: string,
): readonly Mirror[] {
  const { mirror, mirrors, mirrorPercentage, mirrorPercent, mirror_percent: oldPercent } = fields
  if (!mirror.isAbsent && !mirrors.isAbsent) mirrors.error('excludes mirror')
  const deprecated = [mirrorPercent, oldPercent].find(each => !each.isAbsent)
  deprecated?.warn('is deprecated; use mirrorPercentage')
  const whole = readPercentage(mirrorPercentage) ?? deprecated?.asInteger(0, 100) ?? 100
  const found: (Mirror | undefined)[] = [mirrorOf(readDestination(mirror, namespace), whole)]
  for (const item of mirrors.items()) {
    const each = item.required().fields('destination', 'percentage')
    found.push(mirrorOf(readDestination(each.destination.required(), namespace), readPercentage(each.percentage) ?? 100))
  }
  return found.filter(each => each !== undefined)
}

function mirrorOf(destination: Mirror['destination'] | undefined, percentage: number): Mirror | undefined {
  return destination && percentage > 0 ? { destination, percentage } : undefined
}

/** A Percent message: `{ value: 12.5 }`, where nothing is 0. */
export function readPercentage(value: Value): number | undefined {
  if (value.isAbsent) return undefined
  return value.fields('value').value.asNumber(0, 100) ?? 0
}
