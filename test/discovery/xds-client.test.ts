import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireResource } from '../../src/discovery/discovery-message.ts'
import type { ResourceKind, ResourceTypes } from '../../src/discovery/resource-type.ts'
import { resourceTypes } from '../../src/discovery/resources/decode.ts'
import { XdsClient } from '../../src/discovery/xds-client.ts'
import type { XdsClientEvent } from '../../src/discovery/xds-client-status.ts'
import { completeNode, withWorkloads } from '../../src/discovery/xds-node.ts'
import type { XdsServer } from '../../src/discovery/xds-server.ts'
import { silentLogger } from '../../src/runtime.ts'
import { FakeAdsTransport } from '../support/fake-ads-transport.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { scriptedRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { assignmentMessage, clusterMessage, listenerMessage, routeMessage, wireResource } from '../support/xds-resources.ts'

const node = completeNode({ id: 'me', cluster: 'c' }, {}, { hostname: 'h', pid: 1, unique: 'u' })
const settle = () => new Promise(resolve => setImmediate(resolve))

/** `down` and the like: what a watcher was told. */
type Told = string

function setUp(
  t: { after(clean: () => void): void },
  change: Partial<XdsServer> = {},
  load: () => ResourceTypes = () => resourceTypes,
  fallback?: FakeAdsTransport,
) {
  const clock = new ManualClock()
  const transport = new FakeAdsTransport()
  const events: XdsClientEvent[] = []
  const client = new XdsClient({
    server: { uri: 'cp:1', credentials: { kind: 'insecure' }, callCredentials: [], features: [], delta: false, ...change },
    node,
    // In the middle of the jitter.
    runtime: { clock, random: scriptedRandom(0.5), logger: silentLogger },
    transport,
    ...(fallback === undefined
      ? {}
      : {
          fallbacks: [
            {
              server: { uri: 'cp:2', credentials: { kind: 'insecure' }, callCredentials: [], features: [], delta: false },
              transport: fallback,
            },
          ],
        }),
    loadTypes: async () => load(),
    onEvent: event => events.push(event),
  })
  t.after(() => client.close())
  const watch = (kind: ResourceKind, name: string) => {
    const told: Told[] = []
    const unwatch = client.watch(kind, name, {
      onResourceChanged: result =>
        told.push(result.ok ? `value ${result.value.name}` : `${result.error.reason}: ${result.error.message}`),
      onAmbientError: error => told.push(error ? `ambient ${error.reason}: ${error.message}` : 'ambient over'),
    })
    return { unwatch, take: () => told.splice(0) }
  }
  return { clock, transport, client, events, watch }
}

const cluster = (name: string, version = '1') => wireResource(clusterMessage(name), version)

function badCluster(name: string): WireResource {
  const message = clusterMessage(name)
  message.connectTimeout = { $typeName: 'google.protobuf.Duration', seconds: -1n, nanos: 0 }
  message.perConnectionBufferLimitBytes = 1
  return wireResource(message)
}

test('nothing is opened before there is something to say', async t => {
  const { transport } = setUp(t)
  await settle()
  assert.equal(transport.streams.length, 0)
})

test('defect 13: what is asked for in one turn goes out in one request, with the node in the first only', async t => {
  const { transport, watch } = setUp(t)
  watch('cluster', 'a')
  watch('cluster', 'b')
  watch('listener', 'l')
  await settle()
  assert.deepEqual(transport.stream.take(), ['LDS l', 'CDS a,b'])
  assert.deepEqual(transport.stream.nodes, [node, undefined])
  watch('cluster', 'c')
  watch('cluster', 'd')
  await settle()
  assert.deepEqual(transport.stream.take(), ['CDS a,b,c,d'])
})

test('two watches of one resource are one subscription, and it ends with the last', async t => {
  const { transport, watch } = setUp(t)
  const first = watch('cluster', 'a')
  const second = watch('cluster', 'a')
  await settle()
  first.unwatch()
  await settle()
  assert.deepEqual(transport.stream.take(), ['CDS a'])
  second.unwatch()
  await settle()
  assert.deepEqual(transport.stream.take(), ['CDS'])
})

test('good resources of a response are used although others are refused, and the NACK names every bad field', async t => {
  const { transport, watch, events, client } = setUp(t)
  const good = watch('cluster', 'good')
  const bad = watch('cluster', 'bad')
  await settle()
  transport.stream.take()
  await transport.stream.respond('cluster', [badCluster('bad'), cluster('good')])
  assert.deepEqual(good.take(), ['value good'])
  const [refusal = ''] = bad.take()
  assert.match(refusal, /^invalid: Cluster "bad": connect_timeout/)
  const [nack = ''] = transport.stream.take()
  assert.match(nack, /^CDS good,bad nack n1: Cluster "bad": connect_timeout/)
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['nack'],
  )
  assert.match(client.status().types.cluster.refusal ?? '', /connect_timeout/)
  await transport.stream.respond('cluster', [cluster('bad'), cluster('good')], { version: '2' })
  assert.deepEqual(transport.stream.take(), ['CDS good,bad ack n2'])
  assert.deepEqual(bad.take(), ['value bad'])
  assert.equal(client.status().types.cluster.refusal, undefined)
})

test('a bad update keeps what is held, with an ambient error', async t => {
  const { transport, watch } = setUp(t)
  const a = watch('cluster', 'a')
  await settle()
  await transport.stream.respond('cluster', [cluster('a')])
  await transport.stream.respond('cluster', [badCluster('a')])
  const [value, ambient = ''] = a.take()
  assert.equal(value, 'value a')
  assert.match(ambient, /^ambient invalid: Cluster "a": connect_timeout/)
})

test('resources of another type, and the same name twice, are refused by index', async t => {
  const { transport, watch } = setUp(t)
  watch('cluster', 'a')
  await settle()
  transport.stream.take()
  await transport.stream.respond('cluster', [wireResource(listenerMessage('a')), cluster('a'), cluster('a')])
  const [nack = ''] = transport.stream.take()
  assert.match(nack, /nack n1: resources\[0\]: type_url must be .*Cluster, got ".*Listener"; resources\[2\]: "a" is there twice$/)
})

test('what was not asked for is passed over, good or bad', async t => {
  const { transport, watch } = setUp(t)
  watch('cluster', 'a')
  await settle()
  transport.stream.take()
  await transport.stream.respond('cluster', [cluster('a'), badCluster('other')])
  assert.deepEqual(transport.stream.take(), ['CDS a ack n1'])
})

test('the same bytes again tell nobody anything', async t => {
  const { transport, watch } = setUp(t)
  const a = watch('cluster', 'a')
  await settle()
  await transport.stream.respond('cluster', [cluster('a')])
  await transport.stream.respond('cluster', [cluster('a')])
  assert.deepEqual(a.take(), ['value a'])
})

test('SotW: a listener or cluster held that is missing is deleted, one only requested is not, and RDS and EDS may be partial', async t => {
  const { transport, watch } = setUp(t)
  const [a, b, l, r] = [watch('cluster', 'a'), watch('cluster', 'b'), watch('listener', 'l'), watch('routeConfiguration', 'r')]
  await settle()
  await transport.stream.respond('cluster', [cluster('a')])
  await transport.stream.respond('listener', [wireResource(listenerMessage('l'))])
  await transport.stream.respond('routeConfiguration', [wireResource(routeMessage('r', 'a'))])
  for (const kind of ['cluster', 'listener', 'routeConfiguration'] as const) await transport.stream.respond(kind, [])
  assert.deepEqual(a.take(), ['value a', 'ambient does-not-exist: Cluster "a": the control plane does not have it'])
  assert.deepEqual(l.take(), ['value l', 'ambient does-not-exist: Listener "l": the control plane does not have it'])
  assert.deepEqual(b.take(), [])
  assert.deepEqual(r.take(), ['value r'])
})

test('delta: removed names do not exist, at once', async t => {
  const { transport, watch } = setUp(t, { delta: true })
  const a = watch('cluster', 'a')
  await settle()
  assert.equal(transport.stream.protocol, 'delta')
  await transport.stream.respond('cluster', [], { removed: ['a'] })
  assert.deepEqual(a.take(), ['does-not-exist: Cluster "a": the control plane does not have it'])
  assert.deepEqual(transport.stream.take(), ['CDS +a', 'CDS ack n1'])
})

test('A88: resource_errors say why a resource is not there', async t => {
  const { transport, watch } = setUp(t)
  const [a, b] = [watch('clusterLoadAssignment', 'a'), watch('clusterLoadAssignment', 'b')]
  await settle()
  const errors = [
    { name: 'a', code: 7, message: 'not yours' },
    { name: 'b', code: 14, message: 'later' },
  ]
  await transport.stream.respond('clusterLoadAssignment', [], { errors })
  assert.deepEqual(a.take(), ['does-not-exist: ClusterLoadAssignment "a": not yours'])
  assert.deepEqual(b.take(), ['unavailable: ClusterLoadAssignment "b": later'])
})

test('A57: the wait for a resource begins when the stream is on a connection', async t => {
  const { transport, watch, clock } = setUp(t)
  const a = watch('cluster', 'a')
  await settle()
  clock.advance(60_000)
  assert.deepEqual(a.take(), [])
  transport.stream.connect()
  clock.advance(14_999)
  assert.deepEqual(a.take(), [])
  clock.advance(1)
  assert.deepEqual(a.take(), ['does-not-exist: Cluster "a": the control plane said nothing of it for 15 s'])
  const b = watch('cluster', 'b')
  await settle()
  clock.advance(15_000)
  assert.equal(b.take().length, 1)
})

test('defect 3: the wait begins again on the next stream, for what is not held', async t => {
  const { transport, watch, clock } = setUp(t)
  const [a, b] = [watch('cluster', 'a'), watch('cluster', 'b')]
  await settle()
  transport.stream.connect()
  await transport.stream.respond('cluster', [cluster('a')])
  clock.advance(10_000)
  transport.stream.end(0)
  clock.advance(500)
  await clock.advanceAsync(60_000, 1_000)
  assert.equal(transport.streams.length, 2)
  assert.deepEqual(b.take(), [])
  transport.stream.connect()
  clock.advance(15_000)
  assert.deepEqual(b.take(), ['does-not-exist: Cluster "b": the control plane said nothing of it for 15 s'])
  assert.deepEqual(a.take(), ['value a'])
})

test('a new stream says again what is wanted and which version is held, with the node', async t => {
  for (const delta of [false, true]) {
    const { transport, watch, clock } = setUp(t, { delta })
    watch('cluster', 'a')
    await settle()
    await transport.stream.respond('cluster', [cluster('a', 'v7')], { version: 'v7' })
    clock.advance(2_000)
    transport.stream.end(0)
    await settle()
    assert.equal(transport.streams.length, 2)
    const [first] = transport.stream.requests
    assert.equal(first?.nonce, '')
    if (first?.protocol === 'sotw') assert.equal(first.version, 'v7')
    else assert.deepEqual({ ...first?.initialVersions }, { a: 'v7' })
    assert.deepEqual(transport.stream.nodes, [node])
  }
})

test('a stream that ends unanswered is tried again after 1 s, 1.6 s, 2.56 s … 30 s, and says why where nothing is held', async t => {
  const { transport, watch, clock, client } = setUp(t)
  const a = watch('cluster', 'a')
  await settle()
  const gaps: number[] = []
  for (let tries = 0; tries < 12; tries++) {
    const begun = clock.now()
    const before = transport.streams.length
    transport.stream.end(14, 'connect ECONNREFUSED')
    await settle()
    await until(
      () => transport.streams.length !== before,
      () => clock.advanceAsync(10),
    )
    gaps.push(Math.round((clock.now() - begun) / 10) * 10)
  }
  assert.deepEqual(gaps.slice(0, 4), [1_000, 1_600, 2_560, 4_100])
  assert.deepEqual(gaps.slice(-3), [30_000, 30_000, 30_000])
  assert.deepEqual(a.take(), ['unavailable: control plane cp:1: connect ECONNREFUSED (node me)'])
  assert.equal(client.status().lastError, 'control plane cp:1: connect ECONNREFUSED (node me)')
})

test('defect 5: a response starts the backoff anew, and its stream may end without an error to anyone', async t => {
  const { transport, watch, clock, events } = setUp(t)
  const a = watch('cluster', 'a')
  await settle()
  for (let flaps = 0; flaps < 8; flaps++) {
    const begun = clock.now()
    const before = transport.streams.length
    transport.stream.connect()
    await transport.stream.respond('cluster', [cluster('a')])
    transport.stream.end(0)
    await until(
      () => transport.streams.length !== before,
      () => clock.advanceAsync(10),
    )
    assert.ok(clock.now() - begun <= 1_010, `waited ${clock.now() - begun} ms after flap ${flaps}`)
  }
  assert.deepEqual(a.take(), ['value a'])
  assert.equal(events.filter(({ kind }) => kind === 'disconnected').length, 8)
})

test('a server that answers, holds the stream a while and ends it is called again at once', async t => {
  const { transport, watch, clock } = setUp(t)
  watch('cluster', 'a')
  await settle()
  await transport.stream.respond('cluster', [cluster('a')])
  clock.advance(2_000)
  transport.stream.end(14)
  await settle()
  assert.equal(transport.streams.length, 2)
})

test('a server without the incremental protocol is spoken to in the other, at once and from then on', async t => {
  const { transport, watch, clock, client } = setUp(t, { delta: true })
  const a = watch('cluster', 'a')
  await settle()
  transport.stream.end(12, 'unknown method')
  await settle()
  assert.deepEqual(
    transport.streams.map(({ protocol }) => protocol),
    ['delta', 'sotw'],
  )
  assert.deepEqual(transport.stream.take(), ['CDS a'])
  assert.deepEqual(a.take(), [])
  transport.stream.end(14)
  await settle()
  await clock.advanceAsync(1_000)
  assert.deepEqual(
    transport.streams.map(({ protocol }) => protocol),
    ['delta', 'sotw', 'sotw'],
  )
  assert.equal(client.status().protocol, 'sotw')
})

test('a server that sends a refused response again and again is answered ever more slowly', async t => {
  const { transport, watch, clock, events } = setUp(t)
  watch('cluster', 'a')
  await settle()
  transport.stream.take()
  let answers = 0
  for (let sent = 0; sent < 4; sent++) {
    await transport.stream.respond('cluster', [badCluster('a')])
    answers += transport.stream.take().length
  }
  assert.equal(answers, 1)
  assert.equal(events.length, 1)
  clock.advance(3_000)
  assert.equal(transport.stream.take().length, 1)
  await transport.stream.respond('cluster', [badCluster('a')])
  watch('cluster', 'b')
  await settle()
  const [request = ''] = transport.stream.take()
  assert.match(request, /^CDS a,b nack n5/)
})

test('a change of the node opens the stream again at once, without error, and keeps what is held', async t => {
  const { transport, watch, client, events } = setUp(t)
  const a = watch('cluster', 'a')
  await settle()
  transport.stream.connect()
  await transport.stream.respond('cluster', [cluster('a')], { version: '7' })
  const workload = { service: 'reviews', address: '10.0.0.1', port: 80, protocol: 'http' } as const
  client.announce(withWorkloads(node, [workload]))
  await settle()
  assert.equal(transport.streams.length, 2)
  assert.equal(transport.streams[0]?.isCancelled, true)
  assert.deepEqual(transport.stream.nodes[0]?.metadata.INMESH_ENDPOINTS, [workload])
  assert.deepEqual(transport.stream.take(), ['CDS a'])
  assert.deepEqual(a.take(), ['value a'])
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['connected'],
  )
})

test('a change of the node ends a wait for the next try', async t => {
  const { transport, watch, client } = setUp(t)
  watch('cluster', 'a')
  await settle()
  transport.stream.end(14)
  await settle()
  client.announce(node)
  await settle()
  assert.equal(transport.streams.length, 2)
})

test('a process that only serves says who it is by asking for nothing that exists', async t => {
  const { transport, client } = setUp(t, { delta: true })
  client.announce(node)
  await settle()
  assert.deepEqual(transport.stream.take(), ['EDS +'])
  assert.deepEqual(transport.stream.nodes, [node])
})

test('an answer to a stream that is gone is used, and not acknowledged on the next', async t => {
  let finish = () => {}
  const { clusterLoadAssignment } = resourceTypes
  const slow: ResourceTypes = {
    ...resourceTypes,
    clusterLoadAssignment: {
      ...clusterLoadAssignment,
      *decodeInSlices(bytes) {
        for (let waiting = true; waiting; ) {
          finish = () => {
            waiting = false
          }
          clock.advance(10)
          yield undefined
        }
        return clusterLoadAssignment.decode(bytes)
      },
    },
  }
  const { transport, watch, client, clock } = setUp(t, {}, () => slow)
  const a = watch('clusterLoadAssignment', 'a')
  await settle()
  const applied = transport.stream.respond('clusterLoadAssignment', [wireResource(assignmentMessage('a', '10.0.0.1:80'))])
  client.announce(node)
  await settle()
  assert.equal(transport.streams.length, 2)
  finish()
  await applied
  assert.deepEqual(a.take(), ['value a'])
  assert.deepEqual(transport.stream.take(), ['EDS a'])
})

test('a response that cannot be placed is passed over', async t => {
  const { transport, watch } = setUp(t)
  watch('cluster', 'a')
  await settle()
  transport.stream.take()
  await transport.stream.respond('cluster', [], { typeUrl: 'type.googleapis.com/odd.Thing' })
  assert.deepEqual(transport.stream.take(), [])
})

test('types that cannot be loaded are an error like any other, and tried again', async t => {
  let broken = true
  const load = () => {
    if (broken) throw new TypeError('no such module')
    return resourceTypes
  }
  const { transport, watch, clock } = setUp(t, {}, load)
  const a = watch('cluster', 'a')
  await settle()
  assert.deepEqual(a.take(), ['unavailable: the xDS types cannot be loaded: no such module'])
  broken = false
  await clock.advanceAsync(1_000)
  await transport.stream.respond('cluster', [cluster('a')])
  assert.deepEqual(a.take(), ['value a'])
})

test('closing leaves no timer, and nothing is opened again', async t => {
  const { transport, watch, client, clock } = setUp(t)
  watch('cluster', 'a')
  await settle()
  transport.stream.connect()
  client.close()
  await settle()
  assert.equal(clock.pendingTimers, 0)
  assert.equal(transport.stream.isCancelled, true)
  assert.equal(transport.isClosed, true)
  await clock.advanceAsync(60_000, 10_000)
  assert.equal(transport.streams.length, 1)
})

test('A71: another server is asked while the first cannot be reached and something is lacking, and the first again once it can', async t => {
  const second = new FakeAdsTransport()
  const { transport, watch, clock, client } = setUp(t, { delta: true }, undefined, second)
  const a = watch('cluster', 'a')
  await settle()
  transport.stream.end(14, 'connect ECONNREFUSED')
  await settle()
  assert.equal(second.streams.length, 1)
  second.stream.connect()
  await second.stream.respond('cluster', [cluster('a', '7')])
  assert.deepEqual([client.status().server, a.take().at(-1)], ['cp:2', 'value a'])

  // The first is tried beside it, and a stream that cannot be opened changes nothing.
  await until(
    () => transport.streams.length >= 2,
    () => clock.advanceAsync(10),
  )
  transport.stream.end(14, 'connect ECONNREFUSED')
  assert.equal(client.status().server, 'cp:2')
  await until(
    () => transport.streams.length >= 3,
    () => clock.advanceAsync(10),
  )
  transport.stream.connect()
  await settle()
  assert.equal(second.stream.isCancelled, true)
  assert.equal(client.status().server, 'cp:1')
  // Versions of the second mean nothing to the first.
  const [request] = transport.stream.requests
  assert.ok(request?.protocol === 'delta')
  assert.deepEqual(Object.keys(request.initialVersions), [])
  assert.deepEqual(transport.stream.take(), ['CDS +a'])
  transport.stream.connect()
  await transport.stream.respond('cluster', [cluster('a', '1')])
  assert.equal(client.status().connected, true)
})

test('A71: what is held is enough to wait for the first', async t => {
  const second = new FakeAdsTransport()
  const { transport, watch, clock } = setUp(t, {}, undefined, second)
  watch('cluster', 'a')
  await settle()
  transport.stream.connect()
  await transport.stream.respond('cluster', [cluster('a')])
  transport.stream.end(14, 'gone')
  await until(
    () => transport.streams.length >= 2,
    () => clock.advanceAsync(10),
  )
  transport.stream.end(14, 'connect ECONNREFUSED')
  await until(
    () => transport.streams.length >= 3,
    () => clock.advanceAsync(10),
  )
  assert.equal(second.streams.length, 0)
})

test('A71: with no server to be reached all are tried in turn, and then again after a pause', async t => {
  const second = new FakeAdsTransport()
  const { transport, watch, clock } = setUp(t, {}, undefined, second)
  watch('cluster', 'a')
  await settle()
  for (let round = 1; round <= 3; round++) {
    assert.deepEqual([transport.streams.length, second.streams.length], [round, round - 1])
    transport.stream.end(14, 'connect ECONNREFUSED')
    await settle()
    assert.deepEqual([transport.streams.length, second.streams.length], [round, round])
    second.stream.end(14, 'connect ECONNREFUSED')
    await settle()
    await until(
      () => transport.streams.length !== round,
      () => clock.advanceAsync(10),
    )
  }
})
