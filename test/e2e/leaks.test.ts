import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as grpc from '@grpc/grpc-js'
import type { Mesh } from '../../src/index.ts'
import { EchoClient, echoDefinition } from '../support/grpc-backend.ts'
import { startSecureMesh } from '../support/secure-mesh.ts'
import { until } from '../support/until.ts'

// The whole of it: INMESH_LEAK_REQUESTS=1000000 npm test -- test/e2e/leaks.test.ts
const requests = Number(process.env.INMESH_LEAK_REQUESTS ?? 6_000)
const inFlight = 16
/** What a heap may grow by, whatever their number: a hundred bytes of each of a million would be a hundred times as much. */
const allowedBytes = 1 << 20

const config = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers }
spec: { rules: [{ from: [{ source: { principals: ['mesh.test/ns/default/sa/caller'] } }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: echo, labels: { app: echo } }
spec:
  selector: { app: echo }
  ports: [{ name: grpc, port: 9080 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: [shop]
  http:
    - match: [{ uri: { exact: /slow } }]
      route: [{ destination: { host: shop } }]
      timeout: 0.02s
    - route: [{ destination: { host: shop } }]
      retries: { attempts: 2, retryOn: 5xx }
`

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

type Handles = Readonly<Record<string, number>>

/** What the process holds: its handles by kind, and the bytes of its heap. */
function held() {
  collect()
  // What is due at this moment is not held.
  const handles = process.getActiveResourcesInfo().filter(kind => kind !== 'Immediate')
  const kinds: Record<string, number> = {}
  for (const kind of handles) kinds[kind] = (kinds[kind] ?? 0) + 1
  return { kinds, heap: process.memoryUsage().heapUsed }
}

/** Whether the handles are the same, but for the connections by which a pool may be larger at one time than at another: both of their ends are here. */
function isSame({ TCPSocketWrap: a = 0, ...some }: Handles, { TCPSocketWrap: b = 0, ...others }: Handles): boolean {
  return a - b < inFlight && isDeepStrictEqual(some, others)
}

async function startShop(mesh: Mesh) {
  let calls = 0
  const server = mesh.createServer((request, response) => {
    request.resume()
    if (request.url === '/slow' || request.url === '/abort') return
    response.statusCode = request.url === '/fails' && calls++ % 2 === 0 ? 503 : 200
    response.end('x')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function serveEcho(t: TestContext, mesh: Mesh): Promise<void> {
  const server = new grpc.Server()
  const later = (call: { end?(): void; on(event: 'data', listener: () => void): unknown }) => void call.on('data', () => {})
  server.addService(echoDefinition, {
    Unary: ({ request, metadata }: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
      if (metadata.get('slow').length === 0) callback(null, request)
    },
    ClientStream: later,
    ServerStream: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let index = 0; index < 3; index++) call.write(call.request)
      call.end()
    },
    Bidi: later,
  })
  await mesh.serveGrpc(server, { host: '127.0.0.1' })
  t.after(() => server.forceShutdown())
}

test('F18: nothing is left behind by a request, a stream or an endpoint', { timeout: 1_800_000 }, async t => {
  const world = await startSecureMesh(t, config)
  const shop = await startShop(await world.join('shop'))
  t.after(() => {
    shop.closeAllConnections()
    shop.close()
  })
  const other = await world.join('shop')
  await serveEcho(t, await world.join('echo'))
  const caller = await world.join('caller')
  const client = caller.grpcClient(EchoClient, 'xds:///echo:9080')
  t.after(() => client.close())

  const outcomes: Record<string, number> = {}
  const count = (outcome: unknown) => {
    outcomes[String(outcome)] = (outcomes[String(outcome)] ?? 0) + 1
  }
  const unary = (metadata = new grpc.Metadata(), options: grpc.CallOptions = {}, isCancelled = false) =>
    new Promise(resolve => {
      const call = client.Unary(Buffer.from('x'), metadata, options, error => resolve(`grpc ${error?.code ?? 0}`))
      if (isCancelled) setImmediate(() => call.cancel())
    })
  const fetched = (path: string, init: RequestInit = {}) =>
    caller.fetch(`http://shop${path}`, init).then(
      async response => {
        await response.text()
        return `http ${response.status}`
      },
      error => `http ${error.name === 'AbortError' ? 'aborted' : (error.cause?.code ?? error)}`,
    )
  const slow = new grpc.Metadata()
  slow.set('slow', 'yes')
  const kinds: readonly (() => Promise<unknown>)[] = [
    () => fetched('/'),
    () => fetched('/?a', { method: 'POST', body: 'x'.repeat(1000) }),
    () => fetched('/fails'),
    () => {
      const controller = new AbortController()
      setImmediate(() => controller.abort())
      return fetched('/abort', { signal: controller.signal })
    },
    () => unary(),
    () => unary(slow, {}, true),
    () =>
      new Promise(resolve => {
        const call = client.ServerStream(Buffer.from('x'))
        call.on('data', () => {})
        call.on('error', () => {})
        call.on('status', ({ code }) => resolve(`stream ${code}`))
      }),
  ]
  const rare: readonly (() => Promise<unknown>)[] = [
    () => fetched('/slow'),
    () => unary(slow, { deadline: Date.now() + 20 }),
    () => fetched('/abort', { signal: AbortSignal.timeout(20) }),
  ]
  const run = async (number: number) => {
    let left = number
    const lane = async () => {
      for (let index = left--; index > 0; index = left--) {
        const call = index % 50 === 0 ? rare[(index / 50) % rare.length] : kinds[index % kinds.length]
        count(await call?.())
      }
    }
    await Promise.all(Array.from({ length: inFlight }, lane))
  }
  /** Endpoints that come and go under load. */
  const churn = async (times: number) => {
    for (let time = 0; time < times; time++) {
      const isThere = () =>
        caller.snapshot().clusters.some(({ name, endpoints }) => name.includes('shop') && endpoints.length === 2)
      const server = await startShop(other)
      await until(async () => {
        await run(20)
        return isThere()
      })
      await Promise.all([run(200), server.drain({ propagationMs: 100, deadlineMs: 100 })])
      await until(async () => !isThere())
    }
  }

  await run(Math.min(requests * 2, 20_000))
  await churn(3)
  const before = held()
  await run(requests)
  await churn(10)
  await run(20)
  let after = held()
  // Connections of the last that went are closed in their own time.
  for (let tries = 0; tries < 100 && !isSame(after.kinds, before.kinds); tries++) {
    await setTimeout(50)
    after = held()
  }
  t.diagnostic(
    `${JSON.stringify(outcomes)}, ${JSON.stringify([before.kinds, after.kinds])}, ${after.heap - before.heap} bytes more`,
  )
  assert.ok(isSame(after.kinds, before.kinds), `${JSON.stringify(before.kinds)} have become ${JSON.stringify(after.kinds)}`)
  assert.ok(after.heap - before.heap < allowedBytes, `${after.heap - before.heap} bytes more`)
})
