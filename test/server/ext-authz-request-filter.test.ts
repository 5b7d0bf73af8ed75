import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as send } from 'node:http'
import { constants, createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2'
import { buffer, text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { create, fromBinary, fromJson, toBinary } from '@bufbuild/protobuf'
import { HeaderValueOption_HeaderAppendAction } from '../../src/discovery/gen/envoy/config/core/v3/base_pb.ts'
import {
  type CheckRequest,
  CheckRequestSchema,
  CheckResponseSchema,
} from '../../src/discovery/gen/envoy/service/auth/v3/external_auth_pb.ts'
import type { FilterConfig, HttpFilter } from '../../src/discovery/model/listener.ts'
import type { FilterOverrides, Route } from '../../src/discovery/model/route.ts'
import type { CheckSettings, ExtAuthzConfig } from '../../src/policies/ext-authz/ext-authz-config.ts'
import type { RbacFilter } from '../../src/policies/rbac/rbac-rules.ts'
import type { AuthorizerCalls } from '../../src/server/authorizer-calls.ts'
import { Http2Registration } from '../../src/server/http2-registration.ts'
import type { CheckAnswer } from '../support/authorizers.ts'
import { gateEnvironment, http2On, listen, plain, requestOn, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, servingRoute, servingRoutes } from '../support/inbound-model.ts'
import { enforce, exact, path, policy, prefix, rules } from '../support/rbac-rules.ts'
import { until } from '../support/until.ts'

const config: ExtAuthzConfig = {
  authorizer: { kind: 'grpc', cluster: 'authz', authority: 'authz', timeoutMs: 200, metadata: [] },
  allowsOnFailure: false,
  marksFailure: false,
  statusOnError: 403,
  body: undefined,
  allowedHeaders: undefined,
  disallowedHeaders: [],
  enabledFraction: undefined,
  enabledMetadata: undefined,
  deniesWhenDisabled: false,
  clearsRoute: false,
  includesCertificate: false,
  includesServerName: false,
  encodesRawHeaders: false,
  metadataNamespaces: [],
  keepsMetadata: true,
}
const extAuthz = (change: Partial<ExtAuthzConfig> = {}): FilterConfig => ({
  kind: 'ext-authz',
  extAuthz: { ...config, ...change },
})
const rbac = (filter: RbacFilter): FilterConfig => ({ kind: 'rbac', rbac: filter })
const settings = (change: Partial<CheckSettings>): FilterConfig => ({
  kind: 'check-settings',
  settings: { contextExtensions: {}, disablesBody: false, body: undefined, ...change },
})
const byName = (filters: Readonly<Record<string, FilterConfig>>): readonly HttpFilter[] =>
  Object.entries(filters).map(([name, each]) => ({ name, config: each }))

/** An authorizer that answers what the test says, once it says so. */
class FakeAuthorizer implements AuthorizerCalls {
  readonly seen: CheckRequest[] = []
  readonly ended: unknown[] = []
  answer: (request: CheckRequest) => CheckAnswer = () => ({})

  unary: AuthorizerCalls['unary'] = (_cluster, _authority, _path, message, _metadata, signal) => {
    const request = fromBinary(CheckRequestSchema, message)
    this.seen.push(request)
    const answer = this.answer(request)
    if (answer === 'fails') return Promise.reject(new Error('broken'))
    if (answer !== 'waits') return Promise.resolve(toBinary(CheckResponseSchema, create(CheckResponseSchema, answer)))
    return new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        this.ended.push(signal.reason)
        reject(signal.reason)
      }),
    )
  }

  http: AuthorizerCalls['http'] = () => Promise.reject(new Error('not over HTTP'))
}

interface Setting {
  readonly filters?: Readonly<Record<string, FilterConfig>>
  readonly routes?: readonly Route[]
  readonly overrides?: FilterOverrides
}

async function start(t: TestContext, { filters = { authz: extAuthz() }, routes, overrides = {} }: Setting = {}) {
  const authorizer = new FakeAuthorizer()
  const world = await startGated(
    t,
    async (request, response) => response.end(JSON.stringify({ headers: request.headers, body: await text(request) })),
    undefined,
    { calls: authorizer },
  )
  const configuration = servingRoutes(...(routes ?? [servingRoute()]))
  const virtualHosts = configuration.virtualHosts.map(each => ({ ...each, filterOverrides: overrides }))
  world.source.setInbound(
    'server',
    inboundState(makeChain({ filters: byName(filters), routes: { ...configuration, virtualHosts } })),
  )
  const ask = async (target = '/', headers: Readonly<Record<string, string>> = {}) => {
    const { response, body } = await requestOn(await plain(t, world.port), target, headers)
    return { status: response.statusCode, body, app: body.startsWith('{"headers"') ? JSON.parse(body).headers : undefined }
  }
  return { ...world, authorizer, ask }
}

const no: CheckAnswer = { status: { code: 7 } }

describe('what a route says', () => {
  const at = (where: string, overrides: FilterOverrides) =>
    servingRoute({
      match: { ...servingRoute().match, path: { kind: 'prefix', value: where, ignoreCase: false } },
      filterOverrides: overrides,
    })

  test('goes over what its virtual host says', async t => {
    const { ask, authorizer } = await start(t, {
      overrides: { authz: settings({ contextExtensions: { a: 'host', b: 'host' } }) },
      routes: [
        at('/free', { authz: { kind: 'disabled' } }),
        at('/more', { authz: settings({ contextExtensions: { b: 'route', c: 'route' } }) }),
        at('/', {}),
      ],
    })
    authorizer.answer = () => no
    assert.equal((await ask('/free')).status, 200)
    assert.equal(authorizer.seen.length, 0)
    assert.equal((await ask('/more')).status, 403)
    assert.equal((await ask('/')).status, 403)
    assert.deepEqual(
      authorizer.seen.map(({ attributes }) => attributes?.contextExtensions),
      [
        { a: 'host', b: 'route', c: 'route' },
        { a: 'host', b: 'host' },
      ],
    )
  })

  const mismatched: Readonly<Record<string, readonly [FilterConfig, FilterConfig]>> = {
    'rules for an authorizer': [extAuthz(), rbac(enforce('DENY'))],
    'settings of an authorizer for rules': [rbac(enforce('ALLOW')), settings({})],
    'settings of an authorizer for a filter that is turned off': [{ kind: 'disabled' }, settings({})],
    'something unknown for an authorizer': [extAuthz(), { kind: 'ignored', typeUrl: 'a' }],
  }
  for (const [what, [base, own]] of Object.entries(mismatched)) {
    test(`${what}: nothing is served`, async t => {
      const { ask } = await start(t, { filters: { authz: base }, routes: [servingRoute({ filterOverrides: { authz: own } })] })
      assert.equal((await ask()).status, 503)
    })
  }

  test('an authorizer that may change the route is for where there is one', async t => {
    const filters = { authz: extAuthz({ clearsRoute: true }) }
    const { ask } = await start(t, { filters })
    assert.equal((await ask()).status, 200)
    const several = await start(t, { filters, routes: [at('/a', {}), at('/', {})] })
    assert.equal((await several.ask()).status, 503)
  })
})

describe('whom it is about', () => {
  const shadow: RbacFilter = {
    rules: undefined,
    shadowRules: rules('DENY', policy(path(prefix('/asked')), undefined, 'istio-ext-authz-p-1')),
    shadowRulesStatPrefix: 'istio_ext_authz_',
  }
  const enabledMetadata = (provider: string): ExtAuthzConfig['enabledMetadata'] => ({
    filter: 'envoy.filters.http.rbac',
    path: ['istio_ext_authz_shadow_effective_policy_id'],
    value: { kind: 'string', matcher: prefix(`istio-ext-authz-${provider}-`) },
    invert: false,
  })

  test('what the shadow rules before it match', async t => {
    const filters = { rules: rbac(shadow), authz: extAuthz({ enabledMetadata: enabledMetadata('p') }) }
    const { ask, authorizer, told } = await start(t, { filters })
    authorizer.answer = () => no
    assert.deepEqual([(await ask('/asked')).status, (await ask('/other')).status], [403, 200])
    assert.deepEqual(
      told.filter(each => each.startsWith('dry run')),
      [],
      'it is no dry run',
    )
    const another = await start(t, { filters: { ...filters, authz: extAuthz({ enabledMetadata: enabledMetadata('q') }) } })
    another.authorizer.answer = () => no
    assert.equal((await another.ask('/asked')).status, 200)
  })

  test('without the rules nobody, and everybody where that is denied', async t => {
    const { ask, authorizer } = await start(t, { filters: { authz: extAuthz({ enabledMetadata: enabledMetadata('p') }) } })
    assert.equal((await ask('/asked')).status, 200)
    assert.equal(authorizer.seen.length, 0)
    const change = { enabledMetadata: enabledMetadata('p'), deniesWhenDisabled: true, statusOnError: 429 }
    const denying = await start(t, { filters: { authz: extAuthz(change) } })
    assert.equal((await denying.ask('/asked')).status, 429)
  })

  test('a part of all', async t => {
    const enabledFraction = { numerator: 50, denominator: 100 } as const
    const { ask, authorizer } = await start(t, { filters: { authz: extAuthz({ enabledFraction }) } })
    for (let count = 0; count < 40; count++) await ask()
    assert.ok(authorizer.seen.length > 8 && authorizer.seen.length < 32, String(authorizer.seen.length))
  })

  test('rules behind it see what it leaves behind', async t => {
    const role = (value: string): RbacFilter =>
      enforce(
        'DENY',
        policy({
          kind: 'metadata',
          matcher: {
            filter: 'envoy.filters.http.ext_authz',
            path: ['role'],
            value: { kind: 'string', matcher: exact(value) },
            invert: false,
          },
        }),
      )
    const { ask, authorizer } = await start(t, { filters: { authz: extAuthz(), rules: rbac(role('guest')) } })
    const answers = ['guest', 'admin'].map(value => ({ status: { code: 0 }, dynamicMetadata: { role: value } }))
    authorizer.answer = () => answers.shift() ?? 'fails'
    assert.deepEqual([(await ask()).status, (await ask()).status], [403, 200])
  })

  test('an authorizer is told what rules before it left behind', async t => {
    const metadataNamespaces = ['envoy.filters.http.rbac', 'none']
    const { ask, authorizer } = await start(t, { filters: { rules: rbac(shadow), authz: extAuthz({ metadataNamespaces }) } })
    await ask('/asked')
    assert.deepEqual(authorizer.seen[0]?.attributes?.metadataContext?.filterMetadata, {
      'envoy.filters.http.rbac': {
        istio_ext_authz_shadow_engine_result: 'denied',
        istio_ext_authz_shadow_effective_policy_id: 'istio-ext-authz-p-1',
      },
    })
  })
})

describe('what an authorizer cannot do', () => {
  const okWith = (key: string, value: string): CheckAnswer => ({
    status: { code: 0 },
    httpResponse: {
      case: 'okResponse',
      value: { headers: [{ header: { key, value } }], headersToRemove: ['host', 'content-length'] },
    },
  })

  test('B10: change who a request is for, and where it ends', async t => {
    const { ask, authorizer } = await start(t)
    for (const name of ['Host', ':authority', 'content-length', 'Transfer-Encoding', 'connection']) {
      authorizer.answer = () => okWith(name, '7')
      const { status, app } = await ask('/', { 'x-a': 'b' })
      assert.equal(status, 200)
      assert.deepEqual(app, { host: 'a', connection: 'keep-alive', 'x-a': 'b' }, name)
    }
  })

  test('C7: put into a request what no header is', async t => {
    const { ask, authorizer, told } = await start(t)
    for (const [name, value] of [
      ['x-a', 'a\r\nx-b: c'],
      ['x a', 'b'],
      ['x-a', '\0'],
    ] as const) {
      authorizer.answer = () => okWith(name, value)
      assert.equal((await ask()).status, 500)
    }
    assert.equal(told.filter(each => /denied: authz: the authorizer/.test(each)).length, 3)
  })

  test('answer with a status that is none', async t => {
    const { ask, authorizer } = await start(t)
    for (const code of [99, 100, 199, 600, 9999]) {
      authorizer.answer = () => fromJson(CheckResponseSchema, { status: { code: 7 }, deniedResponse: { status: { code } } })
      assert.equal((await ask()).status, 403)
    }
  })
})

test('B24: a caller may reset its connection while an upgrade is asked about', async t => {
  const { server, port, authorizer, ask } = await start(t)
  server.on('upgrade', (_request, socket) => socket.destroy())
  for (const answer of ['waits', 'waits', no] as const) {
    authorizer.answer = () => answer
    const asked = authorizer.seen.length
    const socket = await plain(t, port)
    socket.write('GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n')
    await until(() => authorizer.seen.length > asked)
    socket.resetAndDestroy()
  }
  authorizer.answer = () => ({})
  assert.equal((await ask()).status, 200)
})

test('B24: an upgrade is asked about too, and its denial has headers', async t => {
  const { server, port, authorizer } = await start(t)
  const upgraded: (string | undefined)[] = []
  server.on('upgrade', ({ url, headers }, socket) => {
    upgraded.push(`${url} ${headers['x-user']}`)
    socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
  })
  const answers: CheckAnswer[] = [
    {
      status: { code: 7 },
      httpResponse: {
        case: 'deniedResponse',
        value: { status: { code: 401 }, headers: [{ header: { key: 'x-why', value: 'because' } }], body: 'no' },
      },
    },
    { httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: 'x-user', value: 'me' } }] } } },
  ]
  authorizer.answer = () => answers.shift() ?? 'fails'
  const upgrade = async () => {
    const socket = await plain(t, port)
    socket.write('GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n')
    return text(socket)
  }
  const denied = 'HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 2\r\nx-why: because\r\n\r\nno'
  assert.equal(await upgrade(), denied)
  assert.match(await upgrade(), /^HTTP\/1\.1 101/)
  assert.deepEqual(upgraded, ['/ws me'])
})

test('B21: a request is judged by what was in force when it came, and by nothing else', async t => {
  const rules = (denied: string) => rbac(enforce('DENY', policy(path(exact(denied)))))
  const { ask, authorizer, source } = await start(t, { filters: { authz: extAuthz(), rbac: rules('/a') } })
  const answered = Promise.withResolvers<void>()
  let asked = 0
  authorizer.unary = async () => {
    asked++
    await answered.promise
    return toBinary(CheckResponseSchema, create(CheckResponseSchema, {}))
  }
  const [denied, allowed] = [ask('/a'), ask('/b')]
  await until(() => asked === 2)
  source.setInbound('server', inboundState(makeChain({ filters: byName({ authz: extAuthz(), rbac: rules('/b') }) })))
  answered.resolve()
  assert.deepEqual([(await denied).status, (await allowed).status], [403, 200])
  assert.deepEqual([(await ask('/a')).status, (await ask('/b')).status], [200, 403])
})

describe('without an answer', () => {
  test('B22: nobody passes, and the operator is told why', async t => {
    const { ask, authorizer, told } = await start(t, { filters: { authz: extAuthz({ statusOnError: 503 }) } })
    authorizer.answer = () => 'fails'
    assert.deepEqual(await ask(), { status: 503, body: '', app: undefined })
    assert.ok(told.includes('request is denied: authz cannot ask authz: broken'))
  })

  test('C2: everybody passes where that is configured, the operator is told, and nobody can claim it', async t => {
    const { ask, authorizer, told } = await start(t, {
      filters: { authz: extAuthz({ allowsOnFailure: true, marksFailure: true }) },
    })
    authorizer.answer = () => 'fails'
    const { status, app } = await ask('/', { 'x-envoy-auth-failure-mode-allowed': 'forged' })
    assert.deepEqual([status, app['x-envoy-auth-failure-mode-allowed']], [200, 'true'])
    assert.ok(told.includes('let in without an answer: authz: broken'))
    authorizer.answer = () => ({})
    assert.equal(
      (await ask('/', { 'x-envoy-auth-failure-mode-allowed': 'forged' })).app['x-envoy-auth-failure-mode-allowed'],
      undefined,
    )
  })

  test('F7: it is waited for as long as is configured, and the call is ended', async t => {
    const { ask, authorizer, clock } = await start(t)
    authorizer.answer = () => 'waits'
    const asked = ask()
    await until(() => authorizer.seen.length === 1)
    clock.advance(199)
    assert.equal(authorizer.ended.length, 0)
    clock.advance(1)
    assert.equal((await asked).status, 403)
    assert.match(String(authorizer.ended[0]), /no answer within 200 ms/)
  })

  test('a caller that goes away ends the call', async t => {
    const { authorizer, port } = await start(t)
    authorizer.answer = () => 'waits'
    const sent = send({ port, host: '127.0.0.1', agent: false })
    sent.on('error', () => {})
    sent.end()
    await until(() => authorizer.seen.length === 1)
    sent.destroy()
    await until(() => authorizer.ended.length === 1)
    assert.match(String(authorizer.ended[0]), /the caller is gone/)
  })
})

describe('bodies', () => {
  const body = { maxBytes: 4, allowsPartial: true, isRaw: true }
  const toldOf = (request: CheckRequest | undefined) => Buffer.from(request?.attributes?.request?.http?.rawBody ?? []).toString()

  async function post(port: number, chunks: readonly string[], headers: Readonly<Record<string, string>> = {}) {
    const sent = send({ port, host: '127.0.0.1', method: 'POST', agent: false, headers })
    sent.flushHeaders()
    for (const chunk of chunks) sent.write(chunk)
    sent.end()
    const [response] = await once(sent, 'response')
    return { status: response.statusCode, body: (await buffer(response)).toString() }
  }

  test('F11: reach the application whole, however they come, and the authorizer up to its limit', async t => {
    const { port, authorizer } = await start(t, { filters: { authz: extAuthz({ body }) } })
    for (const chunks of [[], ['a'], ['abcd'], ['abcde'], ['ab', 'cd', 'ef'], ['x'.repeat(200_000), 'y'.repeat(200_000)]]) {
      const whole = chunks.join('')
      const answer = await post(port, chunks)
      assert.equal(answer.status, 200)
      assert.equal(JSON.parse(answer.body).body, whole)
      const last = authorizer.seen.at(-1)
      assert.equal(toldOf(last), whole.slice(0, 4))
      assert.equal(last?.attributes?.request?.http?.headers['x-envoy-auth-partial-body'], String(whole.length > 4))
    }
  })

  test('a route turns it off, or has its own limit', async t => {
    const route = (change: Partial<CheckSettings>) => [servingRoute({ filterOverrides: { authz: settings(change) } })]
    const off = await start(t, { filters: { authz: extAuthz({ body }) }, routes: route({ disablesBody: true }) })
    assert.equal((await post(off.port, ['abcdef'])).status, 200)
    assert.equal(toldOf(off.authorizer.seen[0]), '')
    const own = await start(t, { filters: { authz: extAuthz({ body }) }, routes: route({ body: { ...body, maxBytes: 2 } }) })
    assert.equal((await post(own.port, ['abcdef'])).status, 200)
    assert.equal(toldOf(own.authorizer.seen[0]), 'ab')
  })

  test('B25: a caller that waits for leave to send its body gets it, once', async t => {
    const { port, authorizer } = await start(t, { filters: { authz: extAuthz({ body }) } })
    const sent = send({
      port,
      host: '127.0.0.1',
      method: 'POST',
      agent: false,
      headers: { expect: '100-continue', 'content-length': '3' },
    })
    let leaves = 0
    sent.on('continue', () => {
      leaves++
      sent.end('abc')
    })
    sent.flushHeaders()
    const [response] = await once(sent, 'response')
    assert.equal(JSON.parse(await text(response)).body, 'abc')
    assert.deepEqual([leaves, toldOf(authorizer.seen[0])], [1, 'abc'])
  })

  test('D4: a connection goes on after one that was denied, and the rest of its body is not read as a request', async t => {
    const { port, authorizer } = await start(t, { filters: { authz: extAuthz({ body: { ...body, allowsPartial: false } }) } })
    const socket = await plain(t, port)
    let received = ''
    socket.on('data', chunk => {
      received += chunk
    })
    const large = 'x'.repeat(300_000)
    socket.write(
      `POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: ${large.length}\r\n\r\n${large}GET /b HTTP/1.1\r\nhost: a\r\n\r\n`,
    )
    await until(() => received.includes('HTTP/1.1 200'))
    assert.match(received, /^HTTP\/1\.1 413 [\s\S]*Payload Too LargeHTTP\/1\.1 200/)
    assert.equal(authorizer.seen.length, 1)
  })

  test('F7: of a caller that goes away in the middle of one, nobody is asked', async t => {
    const { port, authorizer, server } = await start(t, { filters: { authz: extAuthz({ body }) } })
    const sent = send({ port, host: '127.0.0.1', method: 'POST', agent: false, headers: { 'content-length': '4' } })
    sent.on('error', () => {})
    sent.write('a')
    const [socket] = await once(server, 'connection')
    await until(() => socket.bytesRead > 0)
    sent.destroy()
    await new Promise(resolve => socket.once('close', resolve))
    assert.equal((await post(port, ['b'])).status, 200)
    assert.deepEqual(authorizer.seen.map(toldOf), ['b'])
  })
})

/** An HTTP/2 server that says what it got, behind an authorizer who is told up to 150,000 bytes of it. */
async function startHttp2(t: TestContext) {
  const authorizer = new FakeAuthorizer()
  const world = gateEnvironment(undefined, { calls: authorizer })
  const served: string[] = []
  const server = createHttp2Server(async (request, response) => {
    served.push(request.url)
    response.end(String((await text(request)).length))
  })
  const port = await listen(t, server)
  new Http2Registration(server, world.environment)
  const filters = byName({ authz: extAuthz({ body: { maxBytes: 150_000, allowsPartial: true, isRaw: true } }) })
  world.source.setInbound('server', inboundState(makeChain({ filters })))
  const session = http2On(t, await plain(t, port), 'http')
  const post = (path: string, body: string) => {
    const stream = session.request({ ':path': path, ':method': 'POST' }, { endStream: false })
    stream.on('error', () => {})
    stream.end(body)
    return stream
  }
  return { authorizer, served, post }
}

test('a stream has a body too, which may be larger than its first window', async t => {
  const { authorizer, post } = await startHttp2(t)
  for (const size of [0, 3, 140_000, 150_000, 150_001, 1_000_000]) {
    assert.equal(await text(post('/', 'x'.repeat(size))), String(size))
    const { rawBody, headers } = authorizer.seen.at(-1)?.attributes?.request?.http ?? {}
    assert.equal(rawBody?.length, Math.min(size, 150_000))
    assert.equal(headers?.['x-envoy-auth-partial-body'], String(size > 150_000))
  }
  authorizer.answer = () => no
  const denied = post('/', 'x'.repeat(1_000_000))
  const [headers] = await once(denied, 'response')
  assert.equal(headers[':status'], 403)
})

test('an answer over HTTP/2 has what it can have once only once, whatever an authorizer adds', async t => {
  const { authorizer, post } = await startHttp2(t)
  const headers = [
    ['content-type', 'text/html'],
    ['content-type', 'application/json'],
    ['http2-settings', 'AAMAAABk'],
    ['x-why', 'a'],
    ['x-why', 'b'],
  ].map(([key = '', value = '']) => ({
    header: { key, value },
    appendAction: HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD,
  }))
  const answers: CheckAnswer[] = [
    { status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 401 }, headers, body: '{}' } } },
    { httpResponse: { case: 'okResponse', value: { responseHeadersToAdd: headers } } },
  ]
  authorizer.answer = () => answers.shift() ?? 'fails'
  for (const status of [401, 200]) {
    const [received] = (await once(post('/', 'x'), 'response')) as [IncomingHttpHeaders]
    assert.deepEqual(
      [received[':status'], received['content-type'], received['x-why'], received['http2-settings']],
      [status, 'application/json', 'a, b', undefined],
    )
  }
})

test('F8: a stream that its caller resets while it is judged ends nothing but itself', async t => {
  const { authorizer, served, post } = await startHttp2(t)
  authorizer.answer = () => 'waits'
  for (const code of [constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_CANCEL]) {
    const before = authorizer.ended.length
    const stream = post('/reset', 'abc')
    await until(() => authorizer.seen.length === before + 1)
    stream.close(code)
    await until(() => authorizer.ended.length === before + 1)
  }
  authorizer.answer = () => ({})
  assert.equal(await text(post('/next', 'abc')), '3')
  assert.deepEqual(served, ['/next'])
})
