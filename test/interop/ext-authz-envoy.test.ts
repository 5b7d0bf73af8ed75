import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, request as send } from 'node:http'
import { request as sendSecurely } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { type MessageInitShape, toJson } from '@bufbuild/protobuf'
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOptionSchema,
} from '../../src/discovery/gen/envoy/config/core/v3/base_pb.ts'
import { type CheckRequest, CheckRequestSchema } from '../../src/discovery/gen/envoy/service/auth/v3/external_auth_pb.ts'
import { createMesh } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { type CheckAnswer, type SeenCheck, startGrpcAuthorizer, startHttpAuthorizer } from '../support/authorizers.ts'
import { freePorts } from '../support/free-ports.ts'
import { TestCa } from '../support/test-ca.ts'
import { filteringListener, startStaticEnvoy } from './support/static-envoy.ts'

const extAuthz = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'

const grpcService = { envoy_grpc: { cluster_name: 'grpc', authority: 'authz' }, timeout: '2s' }
const httpService = (more: object = {}) => ({ server_uri: { uri: 'http://authz', cluster: 'http', timeout: '2s' }, ...more })
const patterns = (...names: readonly string[]) => ({ patterns: names.map(exact => ({ exact })) })

/** The filter, in as many ways as there are. */
const filters: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  grpc: { grpc_service: grpcService },
  'grpc, few headers': {
    grpc_service: grpcService,
    allowed_headers: patterns('x-case', 'x-a', ':path'),
    disallowed_headers: { patterns: [{ prefix: 'x-a' }] },
  },
  'grpc, raw headers': { grpc_service: grpcService, encode_raw_headers: true, allowed_headers: patterns('x-case', 'x-a') },
  'grpc, with certificates': { grpc_service: grpcService, include_peer_certificate: true, include_tls_session: true },
  'grpc, body': { grpc_service: grpcService, with_request_body: { max_request_bytes: 8 } },
  'grpc, part of the body': {
    grpc_service: grpcService,
    with_request_body: { max_request_bytes: 8, allow_partial_message: true, pack_as_bytes: true },
  },
  'grpc, down': { grpc_service: { envoy_grpc: { cluster_name: 'down' } } },
  'grpc, down, another status': { grpc_service: { envoy_grpc: { cluster_name: 'down' } }, status_on_error: { code: 503 } },
  'grpc, down and open': {
    grpc_service: { envoy_grpc: { cluster_name: 'down' } },
    failure_mode_allow: true,
    failure_mode_allow_header_add: true,
  },
  'grpc, late': { grpc_service: { envoy_grpc: { cluster_name: 'grpc' }, timeout: '0.05s' } },
  'grpc, checked': { grpc_service: grpcService, validate_mutations: true },
  never: { grpc_service: grpcService, filter_enabled: { default_value: { numerator: 0 } } },
  'never, and denied': {
    grpc_service: grpcService,
    filter_enabled: { default_value: { numerator: 0 } },
    deny_at_disable: { default_value: true, runtime_key: 'x' },
  },
  http: { http_service: httpService() },
  'http, headers': {
    http_service: httpService({
      path_prefix: '/check',
      authorization_request: { headers_to_add: [{ key: 'x-added', value: 'of %REQ(:path)%' }] },
      authorization_response: {
        allowed_upstream_headers: patterns('x-user', 'x-a'),
        allowed_upstream_headers_to_append: patterns('x-b', 'x-none'),
        allowed_client_headers: patterns('x-why'),
        allowed_client_headers_on_success: patterns('x-told'),
      },
    }),
    allowed_headers: patterns('x-case', 'x-a'),
  },
  'http, body': {
    http_service: httpService(),
    allowed_headers: patterns('x-case'),
    with_request_body: { max_request_bytes: 64 },
  },
  'http, open': { http_service: httpService(), allowed_headers: patterns('x-case'), failure_mode_allow: true },
}

type Option = MessageInitShape<typeof HeaderValueOptionSchema>
const header = (key: string, value: string, more: Partial<Option> = {}): Option => ({ ...more, header: { key, value } }) as Option
const ok = (okResponse: object): CheckAnswer => ({ status: { code: 0 }, httpResponse: { case: 'okResponse', value: okResponse } })
const no = (deniedResponse: object): CheckAnswer => ({
  status: { code: 7 },
  httpResponse: { case: 'deniedResponse', value: deniedResponse },
})

/** What the gRPC authorizer says, by `x-case`. */
const answers: Readonly<Record<string, CheckAnswer>> = {
  plain: { status: { code: 0 } },
  nothing: {},
  'no status': { httpResponse: { case: 'okResponse', value: {} } },
  'ok beside a denial': { status: { code: 7 }, httpResponse: { case: 'okResponse', value: {} } },
  'denial beside ok': { status: { code: 0 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 401 } } } },
  denied: { status: { code: 7 } },
  'denied with all': no({
    status: { code: 401 },
    headers: [header('x-why', 'because'), header('X-Why', 'second'), header('content-type', 'application/json')],
    body: '{"no":"ü"}',
  }),
  'denied with many': no({
    headers: [header('set-cookie', 'a=1', { append: true }), header('set-cookie', 'b=2', { append: true })],
  }),
  redirect: no({ status: { code: 302 }, headers: [header('location', 'https://login/?a=b')] }),
  set: ok({ headers: [header('x-a', 'new'), header('x-new', 'n')] }),
  'set, not appended': ok({ headers: [header('x-a', 'new', { append: false }), header('x-new', 'n', { append: false })] }),
  append: ok({ headers: [header('x-a', 'more', { append: true }), header('x-new', 'n', { append: true })] }),
  'by action': ok({
    headers: [
      header('x-a', 'v', { appendAction: 1 }),
      header('x-b', 'v', { appendAction: 2 }),
      header('x-c', 'v', { appendAction: 3 }),
      header('x-new', 'v', { appendAction: 1 }),
      header('x-new-too', 'v', { appendAction: 3 }),
    ],
  }),
  remove: ok({ headersToRemove: ['x-a', 'X-B', 'host', ':path', ':method'] }),
  'set and remove': ok({ headers: [header('x-a', 'v', { append: false })], headersToRemove: ['x-a'] }),
  query: ok({
    queryParametersToSet: [
      { key: 'a', value: '2' },
      { key: 'new', value: 'x%20y' },
    ],
    queryParametersToRemove: ['gone'],
  }),
  answer: ok({
    responseHeadersToAdd: [header('x-told', 'yes', { append: false }), header('x-app', 'changed', { append: false })],
  }),
  'answer by default': ok({ responseHeadersToAdd: [header('x-told', 'yes'), header('x-app', 'changed')] }),
  'answer appended': ok({
    responseHeadersToAdd: [header('x-told', 'yes', { append: true }), header('x-app', 'too', { append: true })],
  }),
  'answer by action': ok({
    responseHeadersToAdd: [
      AppendAction.ADD_IF_ABSENT,
      AppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
      AppendAction.OVERWRITE_IF_EXISTS,
    ].flatMap(appendAction => [
      header(`x-told-${appendAction}`, 'v', { appendAction }),
      header('x-app', `v${appendAction}`, { appendAction }),
    ]),
  }),
  'bad value': ok({ headers: [header('x-a', 'a\r\nb: c', { append: false })] }),
  'bad name': ok({ headers: [header('x a', 'b', { append: false })] }),
  fails: 'fails',
  waits: 'waits',
}

/** What the HTTP authorizer says, by `x-case`. */
function answerHttp({ headers }: SeenCheck, response: import('node:http').ServerResponse): void {
  const word = headers['x-case']
  if (word === 'denied with all') {
    response
      .writeHead(401, { 'x-why': 'because', 'x-other': 'o', 'www-authenticate': 'Basic', 'content-type': 'text/x' })
      .end('no')
  } else if (word === 'redirect') response.writeHead(302, { location: 'https://login/' }).end()
  else if (word === 'fails') response.writeHead(503).end('broken')
  else if (word === 'nothing') response.writeHead(204).end()
  else if (word === 'remove') response.writeHead(200, { 'x-envoy-auth-headers-to-remove': 'x-a, x-b' }).end()
  else response.writeHead(200, { 'x-user': 'me', 'x-a': 'new', 'x-b': 'more', 'x-none': 'n', 'x-told': 'yes' }).end('ok')
}

interface Call {
  readonly filter: string
  readonly word: string
  readonly method?: string
  readonly path?: string
  readonly headers?: readonly string[]
  readonly body?: string
}

const of = (filter: string, words: readonly string[], more: Partial<Call> = {}): readonly Call[] =>
  words.map(word => ({ filter, word, ...more }))

const calls: readonly Call[] = [
  ...of(
    'grpc',
    Object.keys(answers).filter(word => !['waits', 'bad value', 'bad name'].includes(word)),
  ),
  ...of('grpc', ['plain', 'denied with all'], { method: 'HEAD' }),
  ...of('grpc', ['plain'], { method: 'POST', body: 'hello', path: '/a/b?c=d&e' }),
  ...of('grpc', ['query'], { path: '/a?gone=1' }),
  ...of('grpc', ['query'], { path: '/a' }),
  ...of('grpc, few headers', ['plain', 'denied']),
  ...of('grpc, raw headers', ['plain']),
  ...of('grpc, with certificates', ['plain', 'denied']),
  ...of('grpc, body', ['plain', 'denied'], { method: 'POST', body: 'hello' }),
  ...of('grpc, body', ['plain'], { method: 'POST', body: 'a long body' }),
  ...of('grpc, body', ['plain']),
  ...of('grpc, part of the body', ['plain', 'denied'], { method: 'POST', body: 'a long body' }),
  ...of('grpc, part of the body', ['plain'], { method: 'POST', body: 'short' }),
  ...of('grpc, down', ['plain']),
  ...of('grpc, down, another status', ['plain']),
  ...of('grpc, down and open', ['plain']),
  ...of('grpc, late', ['waits']),
  ...of('grpc, checked', ['bad value', 'bad name', 'set, not appended']),
  ...of('never', ['denied']),
  ...of('never, and denied', ['plain']),
  ...of('http', ['plain', 'denied with all', 'redirect', 'fails', 'nothing', 'remove']),
  ...of('http, headers', ['plain', 'denied with all', 'redirect', 'fails', 'nothing', 'remove'], { path: '/a?b=c' }),
  ...of('http, body', ['plain'], { method: 'POST', body: 'hello' }),
  ...of('http, open', ['fails', 'plain', 'denied with all']),
]

/** Headers that a proxy adds of its own, or that only a connection has. */
const proxys =
  /^(x-request-id|x-forwarded-.*|x-envoy-(?!auth-).*|host|connection|date|server|keep-alive|transfer-encoding|traceparent|tracestate|:authority)$/

type Tls = Awaited<ReturnType<typeof certificates>>['client']

interface Answer {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Both say so, or neither: that there is no body. */
const withoutEmpty = ({ 'content-length': length = '0', ...headers }: IncomingMessage['headers']) =>
  length === '0' ? headers : { ...headers, 'content-length': length }

/** Envoy sorts the parameters of a query in which it changes one, and writes all with an equals sign. */
function sortedQuery(body: string): unknown {
  if (!body.startsWith('{"method"')) return body
  const seen: { readonly url: string } = JSON.parse(body)
  const [path, query = ''] = seen.url.split('?')
  return { ...seen, url: `${path}?${[...new URLSearchParams(query)].sort().join('&')}` }
}

const kept = (headers: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !proxys.test(name))
      // Values may stand in one line or in several.
      .map(([name, value]) => [name, typeof value === 'string' ? value.replaceAll(', ', ',') : value] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )

async function ask(
  port: number,
  tls: Tls | undefined,
  { word, method = 'GET', path = '/p?a=1&gone=2&b', headers = [], body }: Call,
): Promise<Answer> {
  const own = ['x-a', 'old', 'x-b', 'b', 'cookie', 'c', 'x-u', 'Ã¼', ...headers]
  const length = body === undefined ? [] : ['content-length', String(body.length)]
  const all = ['host', 'a.test', 'x-case', word, ...own, ...length]
  const options = { host: '127.0.0.1', port, method, path, headers: all, agent: false }
  const sent = tls === undefined ? send(options) : sendSecurely({ ...options, ...tls, checkServerIdentity: () => undefined })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: response.statusCode, headers: kept(response.headers), body: (await buffer(response)).toString() }
}

/** Says what it saw. */
const app: RequestListener = async (request, response) => {
  const { method, url, headers } = request
  const body = (await buffer(request)).toString()
  response.setHeader('content-type', 'application/json')
  response.setHeader('x-app', 'own')
  response.setHeader('transfer-encoding', 'chunked')
  response.end(JSON.stringify({ method, url, headers: kept(headers), body }))
}

interface End {
  readonly address: { readonly socketAddress: { readonly address: string; readonly portValue?: number } }
}

/** The port is there, and another one on every connection. */
function withoutPort({ address: { socketAddress }, ...end }: End) {
  assert.ok((socketAddress.portValue ?? 0) > 0)
  return { ...end, address: socketAddress.address }
}

/** What must be equal of what an authorizer is told. */
function told(request: CheckRequest | undefined): unknown {
  if (request === undefined) return undefined
  const { attributes } = toJson(CheckRequestSchema, request) as unknown as {
    attributes: { source: End; destination: End; request: { http: { id?: string; headers?: Record<string, string> } } }
  }
  const { id, headers, ...http } = attributes.request.http
  assert.match(id ?? '', /^\d+$/)
  const ends = { source: withoutPort(attributes.source), destination: withoutPort(attributes.destination) }
  return { ...attributes, ...ends, request: { ...http, headers: headers && kept(headers) } }
}

const cluster = (name: string, port: number, more: object = {}) => ({
  name,
  connect_timeout: '1s',
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] }],
  },
  ...more,
})

const http2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
}

/** What a client and a server have of each other. */
async function certificates(t: TestContext) {
  const ca = await TestCa.create(t)
  const server = await ca.issue('url:spiffe://td/server')
  const client = await ca.issue('url:spiffe://td/client')
  const inline = (text: string) => ({ inline_string: text })
  return {
    client: { cert: client.certificate, key: client.privateKey, ca: ca.certificate, servername: 'a.test' },
    socket: {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
        require_client_certificate: true,
        common_tls_context: {
          tls_certificates: [{ certificate_chain: inline(server.certificate), private_key: inline(server.privateKey) }],
          validation_context: { trusted_ca: inline(ca.certificate) },
        },
      },
    },
  }
}

async function start(t: TestContext) {
  const { client, socket } = await certificates(t)
  const isSecured = (name: string) => name.includes('certificates')
  const socketOf = (name: string) => (isSecured(name) ? socket : undefined)
  const decide = (request: CheckRequest): CheckAnswer => {
    const { headers, headerMap } = request.attributes?.request?.http ?? {}
    const raw = headerMap?.headers.find(({ key }) => key === 'x-case')?.rawValue
    return answers[headers?.['x-case'] ?? Buffer.from(raw ?? []).toString()] ?? {}
  }
  const grpc = await startGrpcAuthorizer(t, decide)
  const http = await startHttpAuthorizer(t, answerHttp)
  const names = Object.keys(filters)
  const [down = 0, ...ports] = await freePorts(1 + 2 * names.length)
  const upstream = createServer(app).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.after(() => {
    upstream.closeAllConnections()
    upstream.close()
  })
  const authorizers = [cluster('grpc', grpc.port, http2), cluster('http', http.port), cluster('down', down, http2)]
  const filterOf = (name: string) => ({
    name: 'envoy.filters.http.ext_authz',
    typed_config: { '@type': extAuthz, transport_api_version: 'V3', ...filters[name] },
  })
  await startStaticEnvoy(
    t,
    names.map((name, index) =>
      filteringListener(ports[index] ?? 0, [filterOf(name)], { route: { cluster: 'app' } }, socketOf(name)),
    ),
    [...authorizers, cluster('app', (upstream.address() as AddressInfo).port)],
  )
  const ourPort = (index: number) => ports[names.length + index] ?? 0
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-ext-authz-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const listeners = names.map((name, index) => {
    const listener = filteringListener(ourPort(index), [filterOf(name)], { non_forwarding_action: {} }, socketOf(name))
    for (const chain of listener.filter_chains)
      for (const filter of chain.filters) Reflect.deleteProperty(filter.typed_config, 'use_remote_address')
    return { ...listener, traffic_direction: 'INBOUND' }
  })
  const staticConfig = join(folder, 'mesh.json')
  writeFileSync(staticConfig, JSON.stringify({ static_resources: { listeners, clusters: authorizers } }))
  const mesh = await createMesh({ staticConfig, env: {}, runtime: { logger: silentLogger } })
  t.after(() => mesh.close())
  for (const index of names.keys()) {
    const server = mesh.createServer(app)
    server.listen(ourPort(index), '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
  }
  const portsOf = (name: string) => ({
    envoy: ports[names.indexOf(name)] ?? 0,
    own: ourPort(names.indexOf(name)),
    tls: isSecured(name) ? client : undefined,
  })
  return { grpc, http, portsOf }
}

describe('external authorization, beside a real Envoy', () => {
  test('the same filter gives the same answers, and tells the same authorizer the same', async t => {
    const { grpc, http, portsOf } = await start(t)
    const wrong: unknown[] = []
    const tally = { passed: 0, denied: 0, told: 0 }
    for (const call of calls) {
      const { envoy, own, tls } = portsOf(call.filter)
      const seen = async (port: number) => {
        const before = [grpc.seen.length, http.seen.length]
        const answer = await ask(port, tls, call)
        const check = http.seen[before[1] ?? 0]
        return {
          answer: { ...answer, body: sortedQuery(answer.body) },
          grpc: told(grpc.seen[before[0] ?? 0]),
          http: check && { ...check, headers: kept(withoutEmpty(check.headers)) },
        }
      }
      const [theirs, ours] = [await seen(envoy), await seen(own)]
      tally[ours.answer.headers['x-app'] === undefined ? 'denied' : 'passed']++
      if (ours.grpc !== undefined || ours.http !== undefined) tally.told++
      try {
        assert.deepEqual(ours, theirs)
      } catch (error) {
        wrong.push([call, error instanceof Error ? error.message : error])
      }
    }
    t.diagnostic(`${calls.length} calls: ${JSON.stringify(tally)}`)
    for (const each of wrong) console.log(each)
    assert.equal(wrong.length, 0)
  })
})
