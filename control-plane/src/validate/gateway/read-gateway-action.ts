import type { HttpRedirect, HttpRewrite } from '../../model/virtual-service.ts'
import { domainFault, readPort } from '../names.ts'
import type { Value } from '../value.ts'
import { literal, readPathModifier } from './read-path-modifier.ts'

const redirectStatuses = [301, 302, 303, 307, 308] as const

/** Reads the settings of RequestRedirect; `prefix` as of {@link readPathModifier}. Without a port it goes to that of the scheme it names, else to that of the call. */
export function readGatewayRedirect(value: Value, prefix: string | undefined): HttpRedirect {
  const fields = value.fields('scheme', 'hostname', 'path', 'port', 'statusCode')
  const scheme = fields.scheme.asOneOf(['http', 'https']) ?? ''
  const code = fields.statusCode.asInteger(300, 399) ?? 302
  const status = redirectStatuses.find(each => each === code)
  if (status === undefined) fields.statusCode.error(`must be one of ${redirectStatuses.join(', ')}, got ${code}`)
  const { full, prefix: prefixRewrite, regex } = readPathModifier(fields.path, prefix)
  return {
    kind: 'redirect',
    status: status ?? 302,
    uri: full,
    prefixRewrite,
    uriRegex: regex,
    authority: readHostname(fields.hostname),
    scheme,
    port: readPort(fields.port) ?? (scheme === '' ? 'request' : undefined),
  }
}

/** Reads the settings of URLRewrite; `prefix` as of {@link readPathModifier}. */
export function readGatewayRewrite(value: Value, prefix: string | undefined): HttpRewrite | undefined {
  const fields = value.fields('hostname', 'path')
  const { full, prefix: uri, regex } = readPathModifier(fields.path, prefix)
  const uriRegex = full === '' ? regex : { match: '/.*', rewrite: literal(full) }
  const authority = readHostname(fields.hostname)
  return uri === '' && uriRegex === undefined && authority === '' ? undefined : { uri, uriRegex, authority }
}

function readHostname(value: Value): string {
  const name = value.asString()
  if (name === undefined) return ''
  const fault = domainFault(name)
  if (fault !== undefined) value.error(fault)
  return name
}
