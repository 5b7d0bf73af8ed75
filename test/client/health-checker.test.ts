import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import type { Cluster } from '../../src/client/cluster.ts'
import { ClusterManager } from '../../src/client/cluster-manager.ts'
import { systemLookup } from '../../src/client/dns-resolver.ts'
import type { HealthEvent } from '../../src/client/mesh-events.ts'
import type { HealthCheckConfig } from '../../src/policies/health-check.ts'
import { silentLogger } from '../../src/runtime.ts'
import { HealthService } from '../../src/server/grpc-health.ts'
import { makeCluster } from '../support/fake-config-source.ts'
import { startGrpcBackend } from '../support/grpc-backend.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'

const http = {
  kind: 'http',
  host: '',
  path: '/healthz',
  method: 'GET',
  headers: ['x-check', 'yes'],
  expectedStatuses: [{ start: 200, end: 300 }],
  retriableStatuses: [{ start: 429, end: 430 }],
} as const

function setUp(t: TestContext, addresses: readonly string[], check: HealthCheckConfig['check']) {
  const clock = new ManualClock(Date.now())
  const events: HealthEvent[] = []
  const manager = new ClusterManager({
    runtime: { clock, random: () => 0, logger: silentLogger },
    lookup: systemLookup,
    onHealth: event => events.push(event),
  })
  const healthCheck: HealthCheckConfig = {
    timeoutMs: 100,
    intervalMs: 1000,
    unhealthyThreshold: 2,
    healthyThreshold: 1,
    initialJitterMs: 0,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    noTrafficIntervalMs: 1000,
    unhealthyIntervalMs: 1000,
    unhealthyEdgeIntervalMs: 1000,
    healthyEdgeIntervalMs: 1000,
    check,
  }
  const apply = (more: Partial<{ connectTimeoutMs: number }> = {}) => {
    const before = manager.handle('c').cluster === null ? new Map() : new Map([['c', current]])
    current = makeCluster('c', addresses, { healthCheck, ...more })
    manager.apply(new Map([['c', current]]), before)
  }
  let current = makeCluster('c', [])
  apply()
  t.after(() => manager.close())
  const cluster = (): Cluster => {
    const found = manager.handle('c').cluster
    assert.ok(found !== null)
    return found
  }
  const health = () => [...cluster().endpoints()].map(({ failedHealthCheck }) => !failedHealthCheck)
  const pick = () => cluster().pick({ hash: null, random: () => 0 }, null, 0)?.name
  return { clock, events, health, pick, apply }
}

/** Lets time pass until `condition` holds, slowly enough for a check to be answered before it is late. */
async function until(clock: ManualClock, condition: () => boolean): Promise<void> {
  while (!condition()) await clock.advanceAsync(1)
}

describe('active health checks', () => {
  test('over HTTP: who answers otherwise gets no traffic until it answers as expected', async t => {
    let status = 503
    const [well, sick] = await Promise.all([
      startUpstream(t),
      startUpstream(t, (_request, response) => {
        response.writeHead(status).end()
      }),
    ])
    const { clock, events, health, pick } = setUp(t, [well.address, sick.address], http)
    await until(clock, () => events.length === 1)
    assert.deepEqual(events, [{ cluster: 'c', endpoint: sick.address, isHealthy: false, reason: 'status 503' }])
    assert.deepEqual(health(), [true, false])
    assert.deepEqual([pick(), pick(), pick()], [well.address, well.address, well.address])
    const [first] = sick.seen
    assert.deepEqual([first?.url, first?.headers.host, first?.headers['x-check']], ['/healthz', 'c', 'yes'])
    status = 200
    await until(clock, () => events.length === 2)
    assert.deepEqual(health(), [true, true])
    assert.deepEqual([pick(), pick()].sort(), [well.address, sick.address].sort())
  })

  test('a status that may pass, and no answer in time, are counted', async t => {
    let answer: 'ok' | 'busy' | 'silent' = 'ok'
    const upstream = await startUpstream(t, (_request, response) => {
      if (answer !== 'silent') response.writeHead(answer === 'ok' ? 200 : 429).end()
    })
    const { clock, events, health } = setUp(t, [upstream.address], http)
    await until(clock, () => upstream.seen.length === 1)
    answer = 'busy'
    await until(clock, () => upstream.seen.length === 2)
    assert.deepEqual(health(), [true])
    answer = 'silent'
    await until(clock, () => events.length === 1)
    assert.deepEqual([events[0]?.reason, health()], ['no answer', [false]])
  })

  test('over gRPC: what its health service says', async t => {
    const service = new HealthService()
    const server = new grpc.Server()
    service.addTo(server)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    t.after(() => server.forceShutdown())
    const { clock, events, health } = setUp(t, [`127.0.0.1:${port}`], { kind: 'grpc', service: '', authority: '' })
    await clock.advanceAsync(3000, 1)
    assert.deepEqual(health(), [true])
    service.set('', 'NOT_SERVING')
    await until(clock, () => events.length === 1)
    assert.deepEqual([events[0]?.isHealthy, events[0]?.reason], [false, 'serving status 2'])
    service.set('', 'SERVING')
    await until(clock, () => events.length === 2)
    assert.deepEqual(health(), [true])
  })

  test('over gRPC: a server without the service is not healthy', async t => {
    const { address } = await startGrpcBackend(t)
    const { clock, events } = setUp(t, [address], { kind: 'grpc', service: '', authority: '' })
    await until(clock, () => events.length === 1)
    assert.equal(events[0]?.isHealthy, false)
  })

  test('over TCP: a connection, and what comes back on it', async t => {
    const start = async (answer: string) => {
      const sockets = new Set<Socket>()
      const server = createServer(socket => {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.on('data', () => socket.write(answer))
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      t.after(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      return `127.0.0.1:${(server.address() as AddressInfo).port}`
    }
    const addresses = await Promise.all([start('+PONG\r\n'), start('-ERR\r\n')])
    const hex = (text: string) => Buffer.from(text).toString('hex')
    const { clock, events, health } = setUp(t, addresses, { kind: 'tcp', send: hex('PING'), receive: [hex('+'), hex('PONG')] })
    await until(clock, () => events.length === 1)
    assert.deepEqual(health(), [true, false])
  })

  test('what was found outlives a change of the cluster', async t => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(500).end()
    })
    const { clock, events, health, apply } = setUp(t, [upstream.address], http)
    await until(clock, () => events.length === 1)
    apply({ connectTimeoutMs: 1234 })
    assert.deepEqual(health(), [false])
  })
})
