import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request as send } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { request } from 'undici'
import type { StatefulSession } from '../../src/policies/stateful-session.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { freePorts } from '../support/free-ports.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { filteringListener, startStaticEnvoy } from './support/static-envoy.ts'

const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`

const sessionFilter = (ttlS: number) => ({
  name: 'session',
  typed_config: {
    '@type': type('filters.http.stateful_session.v3.StatefulSession'),
    session_state: {
      name: 'envoy.http.stateful_session.cookie',
      typed_config: {
        '@type': type('http.stateful_session.cookie.v3.CookieBasedSessionState'),
        cookie: { name: 'at', path: '/', ttl: `${ttlS}s` },
      },
    },
  },
})

const retryPolicy = { retry_on: '5xx', num_retries: 2, retry_back_off: { base_interval: '0.001s' } }

/** What came back: the port of the upstream, and the cookie to send with the next request. */
interface Answer {
  readonly status: number | undefined
  readonly port: number
  readonly setCookie: string | undefined
}

type Caller = (headers?: Readonly<Record<string, string>>) => Promise<Answer>

const answerOf = (status: number | undefined, body: string, setCookie: string | readonly string[] | undefined): Answer => ({
  status,
  port: Number(body),
  setCookie: typeof setCookie === 'object' ? setCookie[0] : setCookie,
})

const cookieOf = ({ setCookie = assert.fail('no cookie') }: Answer) => ({ cookie: setCookie.split(';')[0] ?? '' })

/** When Envoy's cookie ends, in seconds of whatever clock: what follows the address and a tag. */
function endOf({ setCookie = assert.fail('no cookie') }: Answer): number {
  const bytes = Buffer.from(setCookie.split('"')[1] ?? '', 'base64')
  const digits = bytes.subarray(2 + (bytes[1] ?? 0) + 1)
  return digits.reduceRight((sum, digit) => sum * 128 + (digit & 127), 0)
}

/** Two upstreams behind an Envoy and behind a mesh, both with sessions of `ttlS`. An upstream fails when the request says so. */
async function start(t: TestContext, ttlS: number, version = ''): Promise<{ readonly envoy: Caller; readonly own: Caller }> {
  const upstreams = await Promise.all(
    [0, 1].map(() =>
      startUpstream(t, ({ headers }, response, { socket: { localPort = 0 } }) => {
        response.writeHead(headers['x-fail-at'] === String(localPort) ? 503 : 200).end(String(localPort))
      }),
    ),
  )
  const addresses = upstreams.map(({ address }) => address)
  const [port = 0] = await freePorts(1)
  const ends = upstreams.map(each => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: each.port } } },
  }))
  await startStaticEnvoy(
    t,
    [filteringListener(port, [sessionFilter(ttlS)], { route: { cluster: 'app', retry_policy: retryPolicy } })],
    [{ name: 'app', load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints: ends }] } }],
    version,
  )
  const session: StatefulSession = { state: { kind: 'cookie', name: 'at', path: '/', ttlMs: ttlS * 1000 }, isStrict: false }
  const { source, dispatcher } = makeMesh(t)
  const route = makeRoute('app', { retryPolicy: makeRetryPolicy({ retryOn: ['5xx'], numRetries: 2 }) })
  source.set({
    targets: {
      echo: makeTarget([makeVirtualHost([route])], {
        filters: [{ name: 'session', config: { kind: 'stateful-session', session } }],
      }),
    },
    clusters: [makeCluster('app', addresses)],
  })
  return {
    async envoy(headers = {}) {
      const sent = send({ host: '127.0.0.1', port, headers: { ...headers }, agent: false }).end()
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      return answerOf(response.statusCode, await text(response), response.headers['set-cookie'])
    },
    async own(headers = {}) {
      const response = await request('http://echo/', { dispatcher, headers: { ...headers } })
      return answerOf(response.statusCode, await response.body.text(), response.headers['set-cookie'])
    },
  }
}

/** The ports that six requests of one session get to, and whether any of them was told another cookie. */
async function visit(call: Caller, headers: Readonly<Record<string, string>>) {
  const answers: Answer[] = []
  for (let index = 0; index < 6; index++) answers.push(await call(headers))
  return {
    ports: [...new Set(answers.map(({ port }) => port))],
    isToldAgain: answers.some(({ setCookie }) => setCookie !== undefined),
  }
}

describe('stateful sessions, beside a real Envoy', () => {
  for (const [end, ttlS, version] of [
    ['without an end', 0, ''],
    ['with an end by the wall clock', 100, ''],
    ['with an end by a monotonic clock', 100, '1.36.4'],
  ] as const) {
    test(`a cookie ${end} that Envoy has set is kept by us, and one of ours by Envoy`, async t => {
      const { envoy, own } = await start(t, ttlS, version)
      assert.equal((await visit(own, {})).ports.length, 2)
      assert.equal((await visit(envoy, {})).ports.length, 2)
      // Both endpoints, so that nobody is right by chance.
      for (let round = 0; round < 2; round++) {
        const [theirs, ours] = [await envoy(), await own()]
        if (ttlS > 0) assert.equal(endOf(theirs) < 1e9, version !== '')
        assert.equal(ours.setCookie?.replace(/".*"/, ''), theirs.setCookie?.replace(/".*"/, ''))
        assert.deepEqual(await visit(own, cookieOf(theirs)), { ports: [theirs.port], isToldAgain: false })
        assert.deepEqual(await visit(envoy, cookieOf(ours)), { ports: [ours.port], isToldAgain: false })
      }
    })
  }

  test('a retry leaves the endpoint of the session, here and there', async t => {
    for (const call of Object.values(await start(t, 0))) {
      const first = await call()
      const retried = await call({ ...cookieOf(first), 'x-fail-at': String(first.port) })
      assert.equal(retried.status, 200)
      assert.notEqual(retried.port, first.port)
      assert.notEqual(retried.setCookie, undefined)
    }
  })
})
