import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request as send } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { request } from 'undici'
import type { ForwardAction } from '../../src/discovery/model/route.ts'
import { makeCluster, makeRetryPolicy, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { freePorts } from '../support/free-ports.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { filteringListener, startStaticEnvoy } from './support/static-envoy.ts'

/** How long an upload takes: longer than any limit. */
const uploadMs = 600
const limitMs = 250

interface Case {
  readonly name: string
  /** The route's fields, for Envoy and for us. */
  readonly envoy: Readonly<Record<string, unknown>>
  readonly own: Partial<ForwardAction>
  /** How many requests the upstream leaves without an answer. */
  readonly silentFor: number
  readonly expect: { readonly status: number; readonly arrived: number; readonly isAfterUpload: boolean }
}

const perTry = {
  envoy: {
    timeout: '5s',
    retry_policy: {
      retry_on: '5xx',
      num_retries: 1,
      per_try_timeout: `${limitMs / 1000}s`,
      retry_back_off: { base_interval: '0.001s' },
    },
  },
  own: { timeoutMs: 5000, retryPolicy: makeRetryPolicy({ retryOn: ['5xx'], numRetries: 1, perTryTimeoutMs: limitMs }) },
}
const hedging = {
  envoy: { ...perTry.envoy, hedge_policy: { hedge_on_per_try_timeout: true } },
  own: { ...perTry.own, hedgeOnPerTryTimeout: true },
}
const ofRoute = { envoy: { timeout: `${limitMs / 1000}s` }, own: { timeoutMs: limitMs } }
const ofStream = {
  envoy: { timeout: '0s', max_stream_duration: { max_stream_duration: `${limitMs / 1000}s` } },
  own: {
    maxStreamDuration: { maxStreamDurationMs: limitMs, grpcTimeoutHeaderMaxMs: undefined, grpcTimeoutHeaderOffsetMs: undefined },
  },
}
const ok = { status: 200, arrived: 1, isAfterUpload: true }
const late = { status: 504, arrived: 1, isAfterUpload: true }

const cases: readonly Case[] = [
  { name: 'of a try, that is answered at once', ...perTry, silentFor: 0, expect: ok },
  { name: 'of a try, after which another is made', ...perTry, silentFor: 1, expect: { ...ok, arrived: 2 } },
  { name: 'of every try', ...perTry, silentFor: 9, expect: { ...late, arrived: 2 } },
  { name: 'of a hedged try, that is answered at once', ...hedging, silentFor: 0, expect: ok },
  { name: 'of a hedged try, beside which another is made', ...hedging, silentFor: 1, expect: { ...ok, arrived: 2 } },
  { name: 'of the route, answered at once', ...ofRoute, silentFor: 0, expect: ok },
  { name: 'of the route, not answered', ...ofRoute, silentFor: 9, expect: late },
  {
    name: 'of the stream',
    ...ofStream,
    silentFor: 0,
    expect: { status: 408, arrived: 0, isAfterUpload: false },
  },
]

/** Sends a body in two halves by `call`, and tells what came of it. */
async function upload(call: (body: PassThrough) => Promise<number | undefined>) {
  const body = new PassThrough()
  const startedAt = performance.now()
  body.write('a')
  const answer = call(body).then(status => ({ status, isAfterUpload: performance.now() - startedAt >= uploadMs }))
  await pause(uploadMs)
  body.end('b')
  return answer
}

async function start(t: TestContext, { envoy, own, silentFor }: Case) {
  const starts = [0, 1].map(() => {
    let left = silentFor
    return startUpstream(t, (_seen, response) => {
      if (left-- <= 0) response.end('ok')
    })
  })
  const [theirs, ours] = await Promise.all(starts)
  if (theirs === undefined || ours === undefined) return assert.fail('no upstream')
  const [port = 0] = await freePorts(1)
  const address = { socket_address: { address: '127.0.0.1', port_value: theirs.port } }
  await startStaticEnvoy(
    t,
    [filteringListener(port, [], { route: { cluster: 'app', ...envoy } })],
    [{ name: 'app', load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] } }],
  )
  const { source, dispatcher } = makeMesh(t, { environment: { localReplies: true } })
  source.set({
    targets: { echo: makeTarget([makeVirtualHost([makeRoute('app', own)])]) },
    clusters: [makeCluster('app', [ours.address])],
  })
  return {
    envoy: {
      upstream: theirs,
      async call(body: PassThrough) {
        const sent = send({ host: '127.0.0.1', port, method: 'PUT', agent: false }).on('error', () => {})
        body.pipe(sent)
        const [response] = (await once(sent, 'response')) as [IncomingMessage]
        await text(response)
        return response.statusCode
      },
    },
    own: {
      upstream: ours,
      async call(body: PassThrough) {
        const { statusCode, body: answer } = await request('http://echo/', { dispatcher, method: 'PUT', body })
        await answer.dump()
        return statusCode
      },
    },
  }
}

describe('the time of a slow upload, beside a real Envoy', () => {
  for (const each of cases) {
    test(each.name, async t => {
      const { envoy, own } = await start(t, each)
      const seen = await Promise.all(
        [envoy, own].map(async ({ upstream, call }) => ({ ...(await upload(call)), arrived: upstream.seen.length })),
      )
      assert.deepEqual(seen, [each.expect, each.expect])
    })
  }
})
