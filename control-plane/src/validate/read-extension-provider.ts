import { StatusCodeSchema } from 'inmesh/gen/envoy/type/v3/http_status_pb'
import type { ExtensionProvider, HttpProvider, RequestBodyInCheck } from '../model/extension-provider.ts'
import { readDurationMs } from './duration.ts'
import { isHeaderName } from './names.ts'
import { readTexts, type TextCheck } from './read-texts.ts'
import type { Value } from './value.ts'

const defaultTimeoutMs = 600_000
const maxBodyBytes = 0xffff_ffff

const ofBoth = [
  'service',
  'port',
  'timeout',
  'failOpen',
  'statusOnError',
  'includeRequestBodyInCheck',
  'clearRouteCache',
] as const

/** Reads one of `extensionProviders`; `undefined` for one that is no authorizer, as those of telemetry are none. */
export function readExtensionProvider(provider: Value): ExtensionProvider | undefined {
  const nameField = provider.field('name').required()
  const name = nameField.asString() ?? ''
  if (name === '' && !nameField.isAbsent) nameField.error('must not be empty')
  const [grpc, http] = [provider.field('envoyExtAuthzGrpc'), provider.field('envoyExtAuthzHttp')]
  if (!grpc.isAbsent && !http.isAbsent) http.error('must not be set together with envoyExtAuthzGrpc')
  const isAuthorizer = !grpc.isAbsent || !http.isAbsent
  // It becomes a part of the names of policies; Istio denies what is about a provider of another name.
  if (isAuthorizer && name !== '' && !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    nameField.error(`must be of small letters, digits and hyphens inside, 63 at most, got ${JSON.stringify(name)}`)
  if (!grpc.isAbsent) return { name, ...readShared(grpc.fields(...ofBoth)), http: undefined }
  return http.isAbsent ? undefined : readHttp(name, http)
}

function readHttp(name: string, http: Value): ExtensionProvider {
  const fields = http.fields(
    ...ofBoth,
    'pathPrefix',
    'includeHeadersInCheck',
    'includeRequestHeadersInCheck',
    'includeAdditionalHeadersInCheck',
    'headersToUpstreamOnAllow',
    'headersToDownstreamOnDeny',
    'headersToDownstreamOnAllow',
  )
  const included = readTexts(fields.includeRequestHeadersInCheck, headerPatternFault)
  const formerly = readTexts(fields.includeHeadersInCheck, headerPatternFault)
  const own: HttpProvider = {
    pathPrefix: readPathPrefix(fields.pathPrefix),
    includeRequestHeaders: included.length > 0 ? included : formerly,
    includeAdditionalHeaders: readAdditional(fields.includeAdditionalHeadersInCheck),
    headersToUpstreamOnAllow: readTexts(fields.headersToUpstreamOnAllow, headerPatternFault),
    headersToDownstreamOnDeny: readTexts(fields.headersToDownstreamOnDeny, headerPatternFault),
    headersToDownstreamOnAllow: readTexts(fields.headersToDownstreamOnAllow, headerPatternFault),
  }
  return { name, ...readShared(fields), http: own }
}

type SharedFields = Readonly<Record<(typeof ofBoth)[number], Value>>

function readShared(fields: SharedFields): Omit<ExtensionProvider, 'name' | 'http'> {
  return {
    service: readService(fields.service),
    port: fields.port.required().asInteger(1, 65_535) ?? 0,
    timeoutMs: readDurationMs(fields.timeout) ?? defaultTimeoutMs,
    failOpen: fields.failOpen.asBoolean() ?? false,
    statusOnError: readStatus(fields.statusOnError),
    body: readBody(fields.includeRequestBodyInCheck),
    clearsRouteCache: fields.clearRouteCache.asBoolean() ?? false,
  }
}

/** `host`, or `namespace/host`. */
function readService(value: Value): string {
  const text = value.required().asString() ?? ''
  const isService = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/.test(text)
  if (!value.isAbsent && value.isString && !isService)
    value.error(`must be a host or namespace/host, without wildcard, got ${JSON.stringify(text)}`)
  return text
}

/** A status that an answer can have, in a string. */
function readStatus(value: Value): number | undefined {
  const text = value.asString()
  if (text === undefined || text === '') return undefined
  const status = Number(text)
  const isKnown = /^\d{3}$/.test(text) && status >= 200 && StatusCodeSchema.values.some(({ number }) => number === status)
  if (!isKnown) value.error(`must be an HTTP status from "200" to "599", got ${JSON.stringify(text)}`)
  return status
}

function readBody(value: Value): RequestBodyInCheck | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields('maxRequestBytes', 'allowPartialMessage', 'packAsBytes')
  return {
    maxRequestBytes: fields.maxRequestBytes.required().asInteger(1, maxBodyBytes) ?? 1,
    allowPartialMessage: fields.allowPartialMessage.asBoolean() ?? false,
    packAsBytes: fields.packAsBytes.asBoolean() ?? false,
  }
}

function readPathPrefix(value: Value): string {
  const text = value.asString() ?? ''
  if (text !== '' && !text.startsWith('/')) value.error(`must begin with /, got ${JSON.stringify(text)}`)
  return text
}

function readAdditional(value: Value): Readonly<Record<string, string>> {
  const entries = value.entries().map(([name, each]) => {
    if (!isHeaderName(name)) each.error(`is not a header name: ${JSON.stringify(name)}`)
    return [name, each.asString() ?? ''] as const
  })
  return Object.fromEntries(entries)
}

const headerPatternFault: TextCheck = text => {
  if (text === '*') return 'must be more than a wildcard'
  return isHeaderName(text.replace(/^\*|\*$/, '')) ? undefined : `is not a header name: ${JSON.stringify(text)}`
}
