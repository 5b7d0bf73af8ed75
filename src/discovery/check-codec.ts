import { isUtf8 } from 'node:buffer'
import { create, fromBinary, type JsonObject, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { CheckAttributes, CheckedBody, CheckPeer } from '../policies/ext-authz/check-attributes.ts'
import { partialBodyHeader } from '../policies/ext-authz/check-attributes.ts'
import type { CheckDecision } from '../policies/ext-authz/check-decision.ts'
import type { HeaderChange, HeaderChangeAction } from '../policies/ext-authz/header-change.ts'
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOption,
} from './gen/envoy/config/core/v3/base_pb.ts'
import type {
  AttributeContext_HttpRequestSchema,
  AttributeContext_PeerSchema,
} from './gen/envoy/service/auth/v3/attribute_context_pb.ts'
import {
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
  type DeniedHttpResponse,
  type OkHttpResponse,
} from './gen/envoy/service/auth/v3/external_auth_pb.ts'

/** The method of an authorizer over gRPC. */
export const checkPath = '/envoy.service.auth.v3.Authorization/Check'

/** How a request is told. */
export interface CheckEncoding {
  /** Every header line by itself (`header_map`), else one value a name (`headers`). */
  readonly encodesRawHeaders: boolean
  /** `raw_body`, else `body`. */
  readonly isRawBody: boolean
}

/** Encodes `envoy.service.auth.v3.CheckRequest` as Envoy fills it. */
export function encodeCheckRequest(attributes: CheckAttributes, encoding: CheckEncoding): Uint8Array {
  const { source, destination, contextExtensions, metadata, serverName } = attributes
  const message = create(CheckRequestSchema, {
    attributes: {
      source: peer(source),
      destination: peer(destination),
      request: { time: timestamp(attributes.request.timeMs), http: httpRequest(attributes, encoding) },
      contextExtensions,
      routeMetadataContext: {},
      metadataContext: { filterMetadata: metadata as Record<string, JsonObject> },
      ...(serverName === undefined ? {} : { tlsSession: { sni: serverName } }),
    },
  })
  return toBinary(CheckRequestSchema, message)
}

function peer({ address, port, principal, certificate }: CheckPeer): MessageInitShape<typeof AttributeContext_PeerSchema> {
  const socket = { address, portSpecifier: { case: 'portValue' as const, value: port } }
  return { address: { address: { case: 'socketAddress', value: socket } }, principal, certificate }
}

function timestamp(ms: number) {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.floor(ms % 1000) * 1_000_000 }
}

function httpRequest(
  { request }: CheckAttributes,
  { encodesRawHeaders, isRawBody }: CheckEncoding,
): MessageInitShape<typeof AttributeContext_HttpRequestSchema> {
  const { id, method, path, host, scheme, size, protocol, body } = request
  const headers = body === undefined ? request.headers : [...request.headers, partialBodyHeader, String(body.isPartial)]
  return {
    ...{ id, method, path: sanitized(path), host: sanitized(host), scheme, size: BigInt(size), protocol },
    ...(encodesRawHeaders ? { headerMap: headerMap(headers) } : { headers: joined(headers) }),
    ...(body === undefined ? {} : bodyField(body, isRawBody)),
  }
}

function bodyField({ bytes }: CheckedBody, isRaw: boolean) {
  return isRaw ? { rawBody: bytes } : { body: sanitized(Buffer.from(bytes).toString('latin1')) }
}

function headerMap(headers: readonly string[]) {
  const lines = []
  for (let at = 0; at < headers.length; at += 2)
    lines.push({ key: headers[at] ?? '', rawValue: Buffer.from(headers[at + 1] ?? '', 'latin1') })
  return { headers: lines }
}

/** The values of one name are one, with commas between. */
function joined(headers: readonly string[]): Record<string, string> {
  const values = new Map<string, string>()
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    const value = sanitized(headers[at + 1] ?? '')
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before},${value}`)
  }
  return Object.fromEntries(values)
}

/** Text of bytes, of which each is a character here; what is no UTF-8 is taken out of it. */
function sanitized(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : text.replaceAll(/\P{ASCII}/gu, '!')
}

/** Decodes `CheckResponse`. Never throws: what cannot be read is a failure. */
export function decodeCheckResponse(bytes: Uint8Array): CheckDecision {
  try {
    return decisionOf(fromBinary(CheckResponseSchema, bytes))
  } catch (error) {
    return { kind: 'failed', reason: `its answer cannot be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function decisionOf({ status, httpResponse, dynamicMetadata }: CheckResponse): CheckDecision {
  const { case: kind, value } = httpResponse
  const isAllowed = (status?.code ?? 0) === 0
  if (isAllowed) return allowed(kind === 'okResponse' ? value : undefined, dynamicMetadata)
  return denied(kind === 'deniedResponse' ? value : undefined, dynamicMetadata)
}

function allowed(ok: OkHttpResponse | undefined, metadata: JsonObject | undefined): CheckDecision {
  return {
    kind: 'allowed',
    requestHeaders: changes(ok?.headers ?? [], ofRequest),
    requestHeadersToRemove: (ok?.headersToRemove ?? []).map(name => name.toLowerCase()),
    responseHeaders: changes(ok?.responseHeadersToAdd ?? [], ofAnswer),
    queryToSet: (ok?.queryParametersToSet ?? []).map(({ key, value }) => [key, value] as const),
    queryToRemove: ok?.queryParametersToRemove ?? [],
    metadata: ok?.dynamicMetadata ?? metadata,
  }
}

function denied(response: DeniedHttpResponse | undefined, metadata: JsonObject | undefined): CheckDecision {
  const status = response?.status?.code ?? 0
  return {
    kind: 'denied',
    status: status === 0 ? 403 : status,
    headers: changes(response?.headers ?? [], ofDenial),
    body: Buffer.from(response?.body ?? ''),
    metadata,
  }
}

const actions: Readonly<Record<AppendAction, HeaderChangeAction>> = {
  [AppendAction.APPEND_IF_EXISTS_OR_ADD]: 'append-if-exists-or-add',
  [AppendAction.ADD_IF_ABSENT]: 'add-if-absent',
  [AppendAction.OVERWRITE_IF_EXISTS_OR_ADD]: 'overwrite-if-exists-or-add',
  [AppendAction.OVERWRITE_IF_EXISTS]: 'overwrite-if-exists',
}

type ActionOf = (append: boolean | undefined, action: AppendAction) => HeaderChangeAction

/** What is not appended replaces, whatever `append_action` says (Envoy 1.40). */
const ofRequest: ActionOf = append => (append === true ? 'append-if-exists' : 'overwrite-if-exists-or-add')

/** There is nothing to replace, and a header may be there several times, as `Set-Cookie` is. */
const ofDenial: ActionOf = append => (append === true ? 'append-if-exists' : 'append-if-exists-or-add')

const ofAnswer: ActionOf = (append, action) => {
  if (append !== undefined) return append ? 'append-if-exists-or-add' : 'overwrite-if-exists-or-add'
  return actions[action] ?? 'overwrite-if-exists-or-add'
}

function changes(options: readonly HeaderValueOption[], actionOf: ActionOf): readonly HeaderChange[] {
  return options.map(({ header, append, appendAction }) => {
    const name = header?.key ?? ''
    const raw = header?.rawValue
    const value = raw !== undefined && raw.length > 0 ? Buffer.from(raw) : Buffer.from(header?.value ?? '')
    return { name, value: value.toString('latin1'), action: actionOf(append, appendAction) }
  })
}
