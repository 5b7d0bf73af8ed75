import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { Client, Metadata, Server, type ServerUnaryCall, type ServiceError, type sendUnaryData, status } from '@grpc/grpc-js'
import type { CheckRequest } from '../../src/discovery/gen/envoy/service/auth/v3/external_auth_pb.ts'
import type { Mesh } from '../../src/index.ts'
import { addCheck, type CheckAnswer, startGrpcAuthorizer, startHttpAuthorizer } from '../support/authorizers.ts'
import { startSecureMesh } from '../support/secure-mesh.ts'
import { until } from '../support/until.ts'

/** Of `shop`, every path below `/asked` or of the service `test.Echo` is asked about. */
const policy = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask }
spec:
  selector: { matchLabels: { app: shop } }
  action: CUSTOM
  provider: { name: asked }
  rules: [{ to: [{ operation: { paths: ['/asked*', '/test.Echo/*'] } }] }]
---
`
const meshConfig = (provider: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
      - { name: asked, ${provider} }
`
/** An authorizer that is outside of the mesh. */
const outside = (port: number, protocol: string) => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz }
spec:
  hosts: [authz.test]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: ${protocol}, protocol: ${protocol.toUpperCase()} }]
  endpoints: [{ address: 127.0.0.1, ports: { ${protocol}: ${port} } }]
`
const overGrpc = (more = '', service = 'authz.test') => meshConfig(`envoyExtAuthzGrpc: { service: ${service}, port: 80${more} }`)
const overHttp = (more = '') => meshConfig(`envoyExtAuthzHttp: { service: authz.test, port: 80${more} }`)

async function serve(t: TestContext, mesh: Mesh, app: RequestListener): Promise<void> {
  const server = mesh.createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
}

/** Tells what it sees. */
const app: RequestListener = async (request, response) => {
  const body = (await buffer(request)).toString()
  response.setHeader('x-app', 'own')
  response.end(JSON.stringify({ url: request.url, user: request.headers['x-user'], secret: request.headers['x-secret'], body }))
}

async function startShop(t: TestContext, yaml: string) {
  const world = await startSecureMesh(t, yaml)
  await serve(t, await world.join('shop'), app)
  const page = await world.join('page')
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await page.fetch(`http://shop${path}`, { redirect: 'manual', ...init })
    const { status: code, headers } = response
    return { status: code, headers, body: await response.text() }
  }
  return { world, page, get }
}

/** By `x-word` of the request. */
function decide({ attributes }: CheckRequest): CheckAnswer {
  const { headers = {}, path = '' } = attributes?.request?.http ?? {}
  const isCall = path.startsWith('/test.Echo/')
  switch (headers['x-word']) {
    case 'no':
      return {
        status: { code: 7 },
        httpResponse: {
          case: 'deniedResponse',
          value: { status: { code: 401 }, headers: [{ header: { key: 'x-why', value: 'because' } }], body: 'go away' },
        },
      }
    case 'wait':
      return 'waits'
    default:
      return {
        status: { code: 0 },
        httpResponse: {
          case: 'okResponse',
          value: {
            headers: [{ header: { key: 'x-user', value: 'me' } }],
            headersToRemove: ['x-secret'],
            responseHeadersToAdd: [{ header: { key: 'x-told', value: 'yes' } }],
            // A method of gRPC has no query.
            queryParametersToSet: isCall ? [] : [{ key: 'by', value: 'authz' }],
          },
        },
      }
  }
}

const withWord = (word: string, more: RequestInit = {}): RequestInit => ({
  ...more,
  headers: { 'x-word': word, 'x-secret': 's' },
})

describe('an authorizer over gRPC', () => {
  test('in the mesh: asked over mutual TLS about what the policy matches, and obeyed', async t => {
    const { world, get } = await startShop(t, policy + overGrpc('', 'authz.default.svc.cluster.local'))
    const server = new Server()
    const seen = addCheck(server, decide)
    await (await world.join('authz')).serveGrpc(server, { host: '127.0.0.1' })
    t.after(() => server.forceShutdown())
    await until(async () => (await get('/asked')).status === 200)

    const before = seen.length
    assert.deepEqual(JSON.parse((await get('/other', withWord('no'))).body), { url: '/other', secret: 's', body: '' })
    assert.equal(seen.length, before, 'nobody is asked about another path')

    const allowed = await get('/asked/a?b=c', withWord('yes'))
    assert.deepEqual(JSON.parse(allowed.body), { url: '/asked/a?b=c&by=authz', user: 'me', body: '' })
    assert.deepEqual([allowed.headers.get('x-told'), allowed.headers.get('x-app')], ['yes', 'own'])

    const denied = await get('/asked', withWord('no'))
    assert.deepEqual([denied.status, denied.headers.get('x-why'), denied.body], [401, 'because', 'go away'])

    const { source, destination, request } = seen.at(-1)?.attributes ?? {}
    assert.equal(source?.principal, 'spiffe://mesh.test/ns/default/sa/page')
    assert.equal(destination?.principal, 'spiffe://mesh.test/ns/default/sa/shop')
    const { method, path, host, scheme, protocol } = request?.http ?? {}
    assert.deepEqual([method, path, host, scheme, protocol], ['GET', '/asked', 'shop', 'https', 'HTTP/1.1'])
  })

  test('asked before tokens are verified, about the request as it came', async t => {
    const tokens = `
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens }
spec: { jwtRules: [{ issuer: https://issuer.test, jwks: '{"keys":[]}' }] }
`
    const { port, seen } = await startGrpcAuthorizer(t, decide)
    const { get } = await startShop(t, policy + overGrpc() + outside(port, 'grpc') + tokens)
    const headers = { authorization: 'Bearer x' }
    const denied = await get('/asked', { headers: { ...headers, 'x-word': 'no' } })
    assert.deepEqual([denied.status, denied.body], [401, 'go away'])
    assert.match((await get('/asked', { headers })).body, /^Jwt is not in the form/)
    assert.equal(seen.at(-1)?.attributes?.request?.http?.headers.authorization, 'Bearer x')
  })

  test('down: nobody passes, with the status that is configured; or everybody, where that is', async t => {
    const { port, stop } = await startGrpcAuthorizer(t, decide)
    stop()
    const { world, get } = await startShop(t, policy + overGrpc() + outside(port, 'grpc'))
    const denied = await get('/asked')
    assert.deepEqual([denied.status, denied.body], [403, ''])
    assert.equal((await get('/other')).status, 200)
    world.write(policy + overGrpc(', statusOnError: "503"') + outside(port, 'grpc'))
    await until(async () => (await get('/asked')).status === 503)
    world.write(policy + overGrpc(', failOpen: true') + outside(port, 'grpc'))
    await until(async () => (await get('/asked')).status === 200)
  })

  test('silent: not waited for longer than its timeout', async t => {
    const { port } = await startGrpcAuthorizer(t, decide)
    const { get } = await startShop(t, policy + overGrpc(', timeout: 50ms') + outside(port, 'grpc'))
    assert.equal((await get('/asked', withWord('wait'))).status, 403)
    assert.equal((await get('/asked', withWord('yes'))).status, 200)
  })

  test('not defined: what the policy matches is denied; defined later: asked', async t => {
    const { port } = await startGrpcAuthorizer(t, decide)
    const { world, get } = await startShop(t, policy)
    assert.deepEqual([(await get('/asked')).status, (await get('/asked')).body], [403, 'RBAC: access denied'])
    assert.equal((await get('/other')).status, 200)
    world.write(policy + overGrpc() + outside(port, 'grpc'))
    await until(async () => (await get('/asked')).status === 200)
  })

  test('told the body, which the application gets whole', async t => {
    const { port, seen } = await startGrpcAuthorizer(t, decide)
    const limit = ', includeRequestBodyInCheck: { maxRequestBytes: 100000 }'
    const { world, get } = await startShop(t, policy + overGrpc(limit) + outside(port, 'grpc'))
    const bodyOf = () => seen.at(-1)?.attributes?.request?.http?.body
    for (const body of ['hello', 'x'.repeat(100_000)]) {
      const answer = await get('/asked', { method: 'POST', body })
      assert.equal(JSON.parse(answer.body).body, body)
      assert.equal(bodyOf(), body)
    }
    const denied = await get('/asked', withWord('no', { method: 'POST', body: 'hello' }))
    assert.deepEqual([denied.status, denied.body], [401, 'go away'])
    const before = seen.length
    const tooLarge = await get('/asked', { method: 'POST', body: 'x'.repeat(100_001) })
    assert.deepEqual([tooLarge.status, tooLarge.body], [413, 'Payload Too Large'])
    assert.equal(seen.length, before)

    const partial = ', includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true }'
    world.write(policy + overGrpc(partial) + outside(port, 'grpc'))
    const large = 'y'.repeat(1_000_000)
    await until(async () => (await get('/asked', { method: 'POST', body: large })).status === 200)
    assert.equal(JSON.parse((await get('/asked', { method: 'POST', body: large })).body).body, large)
    assert.equal(bodyOf(), 'y'.repeat(10))
    assert.equal(seen.at(-1)?.attributes?.request?.http?.headers['x-envoy-auth-partial-body'], 'true')
  })
})

describe('an authorizer over HTTP', () => {
  const answer: Parameters<typeof startHttpAuthorizer>[1] = ({ headers }, response) => {
    if (headers['x-word'] === 'no')
      response.writeHead(302, { location: 'https://login/', 'x-why': 'because', 'x-other': 'o' }).end('see there')
    else if (headers['x-word'] === 'broken') response.writeHead(500).end()
    else response.writeHead(200, { 'x-user': 'me', 'x-told': 'yes', 'x-other': 'o' }).end()
  }
  const config =
    ', pathPrefix: /check, includeRequestHeadersInCheck: [x-word], includeAdditionalHeadersInCheck: { x-from: shop }' +
    ', headersToUpstreamOnAllow: ["x-us*"], headersToDownstreamOnDeny: [x-why], headersToDownstreamOnAllow: [x-told]'

  test('asked with the headers that it is to see, and obeyed', async t => {
    const { port, seen } = await startHttpAuthorizer(t, answer)
    const { get } = await startShop(t, policy + overHttp(config) + outside(port, 'http'))
    const allowed = await get('/asked?a=b', withWord('yes'))
    assert.deepEqual(JSON.parse(allowed.body), { url: '/asked?a=b', user: 'me', secret: 's', body: '' })
    assert.deepEqual([allowed.headers.get('x-told'), allowed.headers.get('x-other')], ['yes', null])
    const [check] = seen
    assert.deepEqual([check?.method, check?.url, check?.headers.host], ['GET', '/check/asked?a=b', 'shop'])
    const { 'x-word': word, 'x-from': from, 'x-secret': secret } = check?.headers ?? {}
    assert.deepEqual([word, from, secret], ['yes', 'shop', undefined])

    const denied = await get('/asked', withWord('no'))
    assert.deepEqual([denied.status, denied.body], [302, 'see there'])
    assert.deepEqual(
      ['location', 'x-why', 'x-other'].map(name => denied.headers.get(name)),
      ['https://login/', 'because', null],
    )
    assert.equal((await get('/asked', withWord('broken'))).status, 403)
  })

  test('down: nobody passes', async t => {
    const { port, stop } = await startHttpAuthorizer(t, answer)
    stop()
    const { world, get } = await startShop(t, policy + overHttp(config) + outside(port, 'http'))
    assert.equal((await get('/asked')).status, 403)
    world.write(policy + overHttp(`${config}, failOpen: true`) + outside(port, 'http'))
    await until(async () => (await get('/asked')).status === 200)
  })
})

const bytes = (value: Buffer) => value
const echo = {
  path: '/test.Echo/Say',
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
} as const

test('calls of a gRPC server are asked about, and denied as gRPC has it', async t => {
  const { port, seen } = await startGrpcAuthorizer(t, decide)
  const config = (more: string) =>
    policy +
    overGrpc(
      `, timeout: 100ms, statusOnError: "503", includeRequestBodyInCheck: { maxRequestBytes: 1000, packAsBytes: true }${more}`,
    ) +
    outside(port, 'grpc')
  const world = await startSecureMesh(t, config(''))
  const server = new Server()
  const metadata: Metadata[] = []
  server.addService(
    { Say: echo },
    {
      Say: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        metadata.push(call.metadata)
        callback(null, call.request)
      },
    },
  )
  await (await world.join('shop')).serveGrpc(server, { host: '127.0.0.1' })
  t.after(() => server.forceShutdown())
  const page = await world.join('page')
  const client = page.grpcClient(Client, 'shop')
  const say = (word: string) =>
    new Promise<{ code: number; details: string; answer: string; why: string | undefined; told: string | undefined }>(resolve => {
      const sent = new Metadata()
      sent.set('x-word', word)
      let told: string | undefined
      const call = client.makeUnaryRequest(
        echo.path,
        bytes,
        bytes,
        Buffer.from('hello'),
        sent,
        (error: ServiceError | null, answer) =>
          resolve({
            code: error?.code ?? status.OK,
            details: error?.details ?? '',
            answer: answer?.toString() ?? '',
            why: error?.metadata.get('x-why')[0]?.toString(),
            told,
          }),
      )
      call.on('metadata', received => {
        told = received.get('x-told')[0]?.toString()
      })
    })
  assert.deepEqual(await say('yes'), { code: status.OK, details: '', answer: 'hello', why: undefined, told: 'yes' })
  assert.deepEqual(metadata[0]?.get('x-user'), ['me'])
  const http = seen[0]?.attributes?.request?.http
  assert.deepEqual([http?.path, http?.protocol], ['/test.Echo/Say', 'HTTP/2'])
  // A frame of gRPC: not compressed, 5 bytes long.
  assert.deepEqual(Buffer.from(http?.rawBody ?? []), Buffer.from('\0\0\0\0\x05hello'))
  const { code, details, why } = await say('no')
  assert.deepEqual({ code, details, why }, { code: status.UNAUTHENTICATED, details: 'go away', why: 'because' })
  assert.equal((await say('wait')).code, status.UNAVAILABLE)
  assert.equal(metadata.length, 1)
})
