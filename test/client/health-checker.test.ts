import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { CheckPacer } from '../../src/client/check-pacer.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { ClusterManager } from '../../src/client/cluster-manager.ts'
import { systemLookup } from '../../src/client/dns-resolver.ts'
import { HealthChecker } from '../../src/client/health-checker.ts'
import type { HealthEvent } from '../../src/client/mesh-events.ts'
import { UpstreamSecurity } from '../../src/client/upstream-tls.ts'
import type { ClusterConfig } from '../../src/discovery/model/cluster.ts'
import type { LbEndpoint } from '../../src/discovery/model/endpoint.ts'
import { defaultThresholds } from '../../src/policies/circuit-breaker.ts'
import type { HealthCheckConfig } from '../../src/policies/health-check.ts'
import { silentLogger } from '../../src/runtime.ts'
import { HealthService } from '../../src/server/grpc-health.ts'
import { makeAssignment, makeCluster, makeEndpoint } from '../support/fake-config-source.ts'
import { startGrpcBackend } from '../support/grpc-backend.ts'
import { startUpstream, unusedPort } from '../support/http-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { RecordingHandler } from '../support/recording-handler.ts'
import { TestCa } from '../support/test-ca.ts'
import { makeTls } from '../support/tls-model.ts'
import { until } from '../support/until.ts'

const http = {
  kind: 'http',
  host: '',
  path: '/healthz',
  method: 'GET',
  headers: ['x-check', 'yes'],
  expectedStatuses: [{ start: 200, end: 300 }],
  retriableStatuses: [{ start: 429, end: 430 }],
} as const

function setUp(
  t: TestContext,
  addresses: readonly (string | Partial<LbEndpoint>)[],
  check: HealthCheckConfig['check'],
  change: Partial<HealthCheckConfig> = {},
  config: Partial<ClusterConfig> = {},
) {
  const clock = new ManualClock(Date.now())
  const events: HealthEvent[] = []
  const manager = new ClusterManager({
    runtime: { clock, random: () => 0, logger: silentLogger },
    lookup: systemLookup,
    security: new UpstreamSecurity(clock),
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
    noTrafficHealthyIntervalMs: 1000,
    unhealthyIntervalMs: 1000,
    unhealthyEdgeIntervalMs: 1000,
    healthyEdgeIntervalMs: 1000,
    reusesConnection: true,
    ignoresNewHosts: false,
    check,
    ...change,
  }
  const apply = (more: Partial<ClusterConfig> = {}, to: readonly (string | Partial<LbEndpoint>)[] = addresses) => {
    const before = manager.handle('c').cluster === null ? new Map() : new Map([['c', current]])
    current = makeCluster('c', to, { healthCheck, ...config, ...more })
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
  return { clock, events, health, pick, apply, cluster }
}

/** Lets time pass until `condition` holds, slowly enough for a check to be answered before it is late. */
async function advanceUntil(clock: ManualClock, condition: () => boolean): Promise<void> {
  await until(condition, () => clock.advanceAsync(1))
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
    await advanceUntil(clock, () => events.length === 1)
    assert.deepEqual(events, [{ cluster: 'c', endpoint: sick.address, isHealthy: false, reason: 'status 503' }])
    assert.deepEqual(health(), [true, false])
    assert.deepEqual([pick(), pick(), pick()], [well.address, well.address, well.address])
    const [first] = sick.seen
    assert.deepEqual([first?.url, first?.headers.host, first?.headers['x-check']], ['/healthz', 'c', 'yes'])
    status = 200
    await advanceUntil(clock, () => events.length === 2)
    assert.deepEqual(health(), [true, true])
    assert.deepEqual([pick(), pick()].sort(), [well.address, sick.address].sort())
  })

  test('an answer that came while the application held the event loop is in time', async t => {
    let isHeld = false
    const upstream = await startUpstream(t, (_request, response) => {
      response.end()
      if (isHeld) clock.hold(500)
    })
    const { clock, events, health } = setUp(t, [upstream.address], http, { unhealthyThreshold: 1 })
    await advanceUntil(clock, () => health()[0] === true)
    isHeld = true
    const before = upstream.seen.length
    await advanceUntil(clock, () => upstream.seen.length > before)
    isHeld = false
    // What is there is read before the timers have another turn.
    for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve))
    await advanceUntil(clock, () => upstream.seen.length > before + 1)
    assert.deepEqual([events.filter(({ isHealthy }) => !isHealthy), health()], [[], [true]])
  })

  test('a status that may pass, and no answer in time, are counted', async t => {
    let answer: 'ok' | 'busy' | 'silent' = 'ok'
    const upstream = await startUpstream(t, (_request, response) => {
      if (answer !== 'silent') response.writeHead(answer === 'ok' ? 200 : 429).end()
    })
    const { clock, events, health } = setUp(t, [upstream.address], http)
    await advanceUntil(clock, () => upstream.seen.length === 1)
    answer = 'busy'
    await advanceUntil(clock, () => upstream.seen.length === 2)
    assert.deepEqual(health(), [true])
    answer = 'silent'
    await advanceUntil(clock, () => events.length === 1)
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
    const { clock, events, health } = setUp(t, [`127.0.0.1:${port}`], { kind: 'grpc', service: '', host: '', metadata: [] })
    await clock.advanceAsync(3000, 1)
    assert.deepEqual(health(), [true])
    service.set('', 'NOT_SERVING')
    await advanceUntil(clock, () => events.length === 1)
    assert.deepEqual([events[0]?.isHealthy, events[0]?.reason], [false, 'serving status 2'])
    service.set('', 'SERVING')
    await advanceUntil(clock, () => events.length === 2)
    assert.deepEqual(health(), [true])
  })

  test('over gRPC: a service with a long name, by the authority and the metadata of the check', async t => {
    const name = 'reviews.'.repeat(40)
    const service = new HealthService()
    service.set(name, 'SERVING')
    const seen: [string, readonly grpc.MetadataValue[]][] = []
    const server = new grpc.Server({
      interceptors: [
        (_method, call) =>
          new grpc.ServerInterceptingCall(call, {
            start: next =>
              next({
                onReceiveMetadata: (metadata, pass) => {
                  seen.push([call.getHost(), metadata.get('x-check')])
                  pass(metadata)
                },
              }),
          }),
      ],
    })
    service.addTo(server)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    t.after(() => server.forceShutdown())
    const metadata = [{ name: 'x-check', value: 'yes' }]
    const { clock, health } = setUp(t, [`127.0.0.1:${port}`], { kind: 'grpc', service: name, host: 'a.example', metadata })
    await advanceUntil(clock, () => health()[0] === true)
    assert.deepEqual(seen[0], ['a.example', ['yes']])
  })

  test('over gRPC: a server without the service is not healthy', async t => {
    const { address } = await startGrpcBackend(t)
    const { clock, events } = setUp(t, [address], { kind: 'grpc', service: '', host: '', metadata: [] })
    await advanceUntil(clock, () => events.length === 1)
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
    await advanceUntil(clock, () => events.length === 1)
    assert.deepEqual(health(), [true, false])
  })

  test('what was found outlives a change of the cluster', async t => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(500).end()
    })
    const { clock, events, health, apply } = setUp(t, [upstream.address], http)
    await advanceUntil(clock, () => events.length === 1)
    apply({ connectTimeoutMs: 1234 })
    assert.deepEqual(health(), [false])
  })

  test('what was counted outlives a change of the cluster: a lost connection is not enough for one that was well', async t => {
    let isWell = true
    const upstream = await startUpstream(t, (_request, response) => {
      if (isWell) response.writeHead(200).end()
      else response.destroy()
    })
    const { clock, events, health, apply } = setUp(t, [upstream.address], http)
    await advanceUntil(clock, () => health()[0] === true)
    isWell = false
    apply({ connectTimeoutMs: 1234 })
    assert.deepEqual(health(), [true])
    const seen = upstream.seen.length
    await advanceUntil(clock, () => upstream.seen.length === seen + 1)
    await clock.advanceAsync(20, 1)
    assert.deepEqual([events, health()], [[], [true]])
    await advanceUntil(clock, () => events.length === 1)
    assert.deepEqual(health(), [false])
  })

  test('an endpoint gets nothing until its first check has succeeded; that it is well is no news', async t => {
    const upstreams = await Promise.all([startUpstream(t), startUpstream(t), startUpstream(t)])
    const [first, second, joined] = upstreams.map(({ address }) => address)
    assert.ok(first !== undefined && second !== undefined && joined !== undefined)
    const { clock, events, health, pick, apply, cluster } = setUp(t, [first, second], http)
    assert.deepEqual([health(), cluster().isResolved], [[false, false], false])
    await advanceUntil(clock, () => health().every(each => each))
    assert.equal(cluster().isResolved, true)
    apply({ connectTimeoutMs: 1234 }, [first, second, joined])
    assert.deepEqual([health(), cluster().isResolved], [[true, true, false], true])
    assert.equal([pick(), pick(), pick()].includes(joined), false)
    await advanceUntil(clock, () => health()[2] === true)
    assert.deepEqual([pick(), pick(), pick()].sort(), [first, second, joined].sort())
    assert.deepEqual(events, [])
  })

  test('when every first check has failed, nobody waits for more', async t => {
    const { clock, health, cluster } = setUp(t, [`127.0.0.1:${await unusedPort()}`], http)
    assert.equal(cluster().isResolved, false)
    await advanceUntil(clock, () => cluster().isResolved)
    assert.deepEqual(health(), [false])
  })

  test('a check does not wait for the connections of requests', async t => {
    const upstream = await startUpstream(t, ({ url }, response) => {
      if (url === '/healthz') response.writeHead(200).end()
    })
    const thresholds = { ...defaultThresholds, maxConnections: 1 }
    const { clock, events, health, cluster } = setUp(
      t,
      [upstream.address],
      { ...http, host: 'c' },
      {},
      {
        circuitBreakers: { default: thresholds, high: thresholds },
      },
    )
    const [endpoint] = cluster().endpoints()
    // The one connection is taken by a request that is never answered.
    endpoint?.http.get('http://c').dispatch({ method: 'GET', path: '/slow' }, new RecordingHandler())
    await advanceUntil(clock, () => upstream.seen.some(({ url }) => url === '/slow') && health()[0] === true)
    await clock.advanceAsync(2500, 5)
    assert.deepEqual([events, health()], [[], [true]])
  })

  test('a name that no URL can hold is sent as it is', async t => {
    const upstream = await startUpstream(t)
    const { clock, health } = setUp(t, [upstream.address], { ...http, host: 'outbound|80||reviews' })
    await advanceUntil(clock, () => health()[0] === true)
    assert.equal(upstream.seen[0]?.headers.host, 'outbound|80||reviews')
  })

  test('a check that cannot even be sent has failed', async t => {
    const upstream = await startUpstream(t)
    const { clock, events } = setUp(t, [upstream.address], { ...http, path: 'no slash' })
    await advanceUntil(clock, () => events.length === 1)
    assert.match(events[0]?.reason ?? '', /path/)
  })

  test('an endpoint is checked where it says, by the name that it says', async t => {
    const [served, checked] = await Promise.all([startUpstream(t), startUpstream(t)])
    const healthCheck = { address: '', port: checked.port, hostname: 'admin', isDisabled: false }
    const { clock, health } = setUp(t, [{ port: served.port, healthCheck }], http)
    await advanceUntil(clock, () => health()[0] === true)
    assert.deepEqual([served.seen.length, checked.seen[0]?.headers.host], [0, 'admin'])
  })

  test('an endpoint that is exempt is not checked, from when it says so', async t => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(500).end()
    })
    const healthCheck = { address: '', port: 0, hostname: '', isDisabled: true }
    const { clock, events, health, cluster } = setUp(t, [{ port: upstream.port }], http)
    await advanceUntil(clock, () => events.length === 1)
    cluster().update(makeAssignment('c', [{ endpoints: [makeEndpoint({ port: upstream.port, healthCheck })] }]))
    const seen = upstream.seen.length
    await clock.advanceAsync(3000, 10)
    assert.deepEqual([health(), upstream.seen.length], [[true], seen])
  })

  test('a cluster that was called before an update is checked as often after it', async t => {
    const upstream = await startUpstream(t)
    const intervals = { noTrafficIntervalMs: 60_000, noTrafficHealthyIntervalMs: 60_000 }
    const { clock, health, apply, cluster } = setUp(t, [upstream.address], http, intervals)
    await advanceUntil(clock, () => health()[0] === true)
    await clock.advanceAsync(3000, 10)
    assert.equal(upstream.seen.length, 1)
    cluster().admit({ hash: null, random: () => 0, attempts: 0 }, cluster().breaker('default'))
    apply({ connectTimeoutMs: 1234 })
    await clock.advanceAsync(3000, 10)
    assert.ok(upstream.seen.length >= 3)
  })

  test('connections are kept from check to check, or not', async t => {
    for (const reusesConnection of [true, false]) {
      const upstream = await startUpstream(t)
      const { clock } = setUp(t, [upstream.address], http, { reusesConnection })
      await advanceUntil(clock, () => upstream.seen.length === 3)
      assert.equal(new Set(upstream.seen.map(({ connection }) => connection)).size, reusesConnection ? 1 : 3)
    }
  })

  test('a connection that would be closed before the next check is not kept', async t => {
    const upstream = await startUpstream(t)
    const { clock } = setUp(t, [upstream.address], http, { noTrafficHealthyIntervalMs: 5000 })
    await advanceUntil(clock, () => upstream.seen.length === 1)
    // The check ends in a turn of its own, and the clock stands still meanwhile.
    await until(() => upstream.sockets.size === 0)
  })

  test('new hosts count when they were checked, where the cluster says so', async t => {
    const [well, ...silent] = await Promise.all([startUpstream(t), startUpstream(t, () => {}), startUpstream(t, () => {})])
    const addresses = [well, ...silent].map(({ address }) => address)
    for (const ignoresNewHosts of [true, false]) {
      const { clock, health, pick } = setUp(t, addresses, http, { ignoresNewHosts })
      await advanceUntil(clock, () => health()[0] === true)
      // One of three is panic, one of one is not.
      assert.equal(new Set([pick(), pick(), pick()]).size, ignoresNewHosts ? 1 : 3)
      await clock.advanceAsync(200, 5)
      assert.equal(new Set([pick(), pick(), pick()]).size, 3)
    }
  })

  test('in a large cluster, who fails is left out at once and who is well is let in together with others', async t => {
    let status = 200
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(status).end()
    })
    const exempt = { address: '', port: 0, hostname: '', isDisabled: true }
    const others = Array.from({ length: 4999 }, (_, index) => ({
      address: `10.0.${index >> 8}.${index & 255}`,
      healthCheck: exempt,
    }))
    const { clock, health, pick } = setUp(t, [{ port: upstream.port }, ...others], http)
    const isPicked = () => {
      for (let picked = 0; picked < 5000; picked++) if (pick() === upstream.address) return true
      return false
    }
    await advanceUntil(clock, () => health()[0] === true)
    assert.equal(isPicked(), false)
    clock.advance(10)
    assert.equal(isPicked(), true)
    status = 503
    await advanceUntil(clock, () => health()[0] === false)
    assert.equal(isPicked(), false)
  })

  for (const initialJitterMs of [0, 1])
    test(`the checks of many endpoints do not all begin in one turn${initialJitterMs === 0 ? '' : ', not even with little jitter'}`, t => {
      const addresses = Array.from({ length: 300 }, (_, index) => ({ port: index + 1 }))
      const begun: number[] = []
      const { cluster } = setUp(t, addresses, http, { initialJitterMs })
      const config = cluster().config.healthCheck
      assert.ok(config !== undefined)
      const clock = new ManualClock()
      const checker = new HealthChecker(
        {
          config,
          cluster: 'c',
          tlsOf: () => undefined,
          runtime: { clock, random: () => 0, logger: silentLogger },
          connections: {
            http: ({ port }) => {
              begun.push(port)
              throw new Error('none')
            },
            grpc: () => assert.fail(),
          },
          idleTimeoutMs: 4000,
          pacer: new CheckPacer(clock),
          hasTraffic: () => true,
          onVerdict: () => {},
        },
        new Map(),
      )
      checker.reconcile(cluster().endpoints(), [])
      if (initialJitterMs === 0) assert.equal(clock.pendingTimers, 1)
      clock.advance(initialJitterMs)
      assert.equal(begun.length, 4)
      clock.advance(299)
      assert.equal(begun.length, 300)
      checker.close()
      assert.equal(clock.pendingTimers, 0)
      checker.reconcile(cluster().endpoints(), [])
      checker.close()
      assert.equal(clock.pendingTimers, 0)
      clock.advance(1000)
      assert.equal(begun.length, 300)
    })

  test('over TLS: with the roots and the name of the cluster', async t => {
    const ca = await TestCa.create(t)
    const { certificate, privateKey } = await ca.issue('dns:c')
    const server = createTlsServer({ cert: certificate, key: privateKey }, socket => {
      socket.on('error', () => {})
      socket.once('data', data =>
        socket.end(data.toString().startsWith('GET ') ? 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n' : 'PONG'),
      )
    })
    server.on('tlsClientError', () => {})
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const tcp = { kind: 'tcp', send: '50', receive: ['504f4e47'] } as const
    const tls = makeTls({ sni: 'c', trust: { kind: 'inline', ca: ca.certificate } })
    for (const check of [http, tcp]) {
      const good = setUp(t, [{ port }], check, {}, { tls })
      await advanceUntil(good.clock, () => good.health()[0] === true)
      const wrong = setUp(t, [{ port }], check, {}, { tls: { ...tls, sni: 'other' } })
      await advanceUntil(wrong.clock, () => wrong.events.length === 1)
      assert.deepEqual(wrong.health(), [false])
    }
  })

  test('a drained cluster asks no more, not even what it has begun', async t => {
    const upstream = await startUpstream(t, () => {})
    const { clock, cluster } = setUp(t, [upstream.address], http)
    await advanceUntil(clock, () => upstream.seen.length === 1)
    await cluster().drain()
    assert.deepEqual([clock.pendingTimers, cluster().isResolved], [0, true])
    while (upstream.sockets.size > 0) await once([...upstream.sockets][0] as Socket, 'close')
  })
})
