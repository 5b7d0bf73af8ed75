import type { HttpMatch } from '../model/virtual-service.ts'
import { domainFault, isHeaderName, isLabel, readLabels, readPort } from './names.ts'
import { readStringMatch, readStringMatches } from './read-string-match.ts'
import type { Value } from './value.ts'

const pseudoHeaders: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path', ':status'])

/** Reads one element of `http[].match`. */
export function readHttpMatch(value: Value): HttpMatch {
  const fields = value
    .required()
    .fields(
      'name',
      'statPrefix',
      'uri',
      'ignoreUriCase',
      'method',
      'authority',
      'scheme',
      'headers',
      'withoutHeaders',
      'queryParams',
      'port',
      'sourceLabels',
      'sourceNamespace',
      'gateways',
    )
  checkHeaderNames(fields.headers)
  checkHeaderNames(fields.withoutHeaders)
  return {
    name: fields.name.asString() ?? '',
    statPrefix: fields.statPrefix.asString() ?? '',
    uri: readStringMatch(fields.uri, { emptyPrefix: true }),
    ignoreUriCase: fields.ignoreUriCase.asBoolean() ?? false,
    method: readStringMatch(fields.method),
    authority: readStringMatch(fields.authority),
    scheme: readStringMatch(fields.scheme),
    headers: readStringMatches(fields.headers),
    withoutHeaders: readStringMatches(fields.withoutHeaders, { starIsPresence: true }),
    queryParams: readStringMatches(fields.queryParams),
    port: readPortOrZero(fields.port),
    sourceLabels: readLabels(fields.sourceLabels),
    sourceNamespace: readSourceNamespace(fields.sourceNamespace),
    gateways: readGateways(fields.gateways),
  }
}

/** A namespace, or nothing for all. */
export function readSourceNamespace(value: Value): string {
  const namespace = value.asString() ?? ''
  if (namespace !== '' && !isLabel(namespace)) value.error('is not a namespace')
  return namespace
}

/** Names of gateways: `mesh`, `name` or `namespace/name`. */
export function readGateways(value: Value): readonly string[] {
  return value.items().map(item => {
    const name = item.required().asString() ?? ''
    const parts = name.split('/')
    if (parts.length > 2 || parts.some(domainFault)) item.error(`is not a gateway: ${JSON.stringify(name)}`)
    return name
  })
}

/** A port, or 0 for any. */
export function readPortOrZero(value: Value): number | undefined {
  if (value.isAbsent || value.asInteger(0, 0xffff_ffff) === 0) return undefined
  return readPort(value)
}

function checkHeaderNames(value: Value): void {
  for (const [name, item] of value.entries()) {
    if (name.startsWith('@request.auth.claims')) item.error('is a claim of a token, which only a gateway can match')
    else if (!pseudoHeaders.has(name) && !isHeaderName(name)) item.error(`${JSON.stringify(name)} is not a header name`)
  }
}
