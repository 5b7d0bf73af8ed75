import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoadReporting } from '../../src/discovery/load-reporting.ts'
import type { LoadStatsRequest, LoadStatsResponse, LoadStatsTransport } from '../../src/discovery/load-stats-stream.ts'
import type { ClusterLoad, LoadSource } from '../../src/discovery/model/cluster-load.ts'
import { completeNode } from '../../src/discovery/xds-node.ts'
import type { XdsStreamHandler } from '../../src/discovery/xds-stream.ts'
import { silentLogger } from '../../src/runtime.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { scriptedRandom } from '../support/seeded-random.ts'

const node = completeNode({ id: 'me', cluster: 'c' }, {}, { hostname: 'h', pid: 1, unique: 'u' })
const settle = () => new Promise(resolve => setImmediate(resolve))
const all: LoadStatsResponse = { clusters: null, intervalMs: 10_000 }

class FakeStream {
  readonly handler: XdsStreamHandler<LoadStatsResponse>
  readonly requests: LoadStatsRequest[] = []
  isCancelled = false
  isFinished = false
  /** The server has ended its half. */
  readonly ended = Promise.withResolvers<void>()

  constructor(handler: XdsStreamHandler<LoadStatsResponse>) {
    this.handler = handler
  }

  send(request: LoadStatsRequest): void {
    this.requests.push(request)
  }

  cancel(): void {
    this.isCancelled = true
  }

  finish(): Promise<void> {
    this.isFinished = true
    return this.ended.promise
  }
}

class FakeTransport implements LoadStatsTransport {
  readonly uri = 'cp:1'
  readonly streams: FakeStream[] = []

  open(handler: XdsStreamHandler<LoadStatsResponse>): FakeStream {
    const stream = new FakeStream(handler)
    this.streams.push(stream)
    return stream
  }

  get stream(): FakeStream {
    const stream = this.streams.at(-1)
    assert.ok(stream, 'no stream was opened')
    return stream
  }
}

/** Has a load for each name that was added. */
class FakeLoads implements LoadSource {
  isWanted = false
  forgotten = 0
  readonly asked: (ReadonlySet<string> | null)[] = []
  readonly #waiting: string[] = []
  #listener = () => {}

  want(): void {
    this.isWanted = true
    this.#listener()
  }

  add(cluster: string): void {
    this.#waiting.push(cluster)
  }

  take(clusters: ReadonlySet<string> | null): readonly ClusterLoad[] {
    this.asked.push(clusters)
    const base = { edsServiceName: '', intervalMs: 1, dropped: 1, droppedByCategory: new Map(), localities: [] }
    return this.#waiting.splice(0).map(cluster => ({ cluster, ...base }))
  }

  forgetLeft(): void {
    this.forgotten++
  }

  onWanted(listener: () => void): void {
    this.#listener = listener
  }
}

function setUp(t: { after(clean: () => void): void }) {
  const clock = new ManualClock()
  const loads = new FakeLoads()
  const [first, second] = [new FakeTransport(), new FakeTransport()]
  const runtime = { clock, random: scriptedRandom(0.5), logger: silentLogger }
  const reporting = new LoadReporting({ runtime, node, transports: [first, second], loads })
  t.after(() => reporting.close())
  return { clock, loads, transport: first, second, reporting }
}

/** The clusters of each request of a stream. */
const told = ({ requests }: FakeStream) => requests.map(request => request.loads.map(({ cluster }) => cluster).join())

test('nothing is opened before a cluster asks for it', async t => {
  const { transport, loads } = setUp(t)
  await settle()
  assert.equal(transport.streams.length, 0)
  loads.want()
  await settle()
  assert.equal(transport.streams.length, 1)
})

test('the first request has the node with its feature and no load, and the others have no node', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  loads.add('a')
  await transport.stream.handler.onResponse(all)
  clock.advance(10_000)
  const [first, second] = transport.stream.requests
  assert.deepEqual(first?.node, { ...node, clientFeatures: [...node.clientFeatures, 'envoy.lrs.supports_send_all_clusters'] })
  assert.equal(second?.node, undefined)
  assert.deepEqual(told(transport.stream), ['', 'a'])
})

test('reports go out at the interval of the server, of the clusters that it names', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  clock.advance(60_000)
  assert.deepEqual(loads.asked, [], 'the server has not said what it wants')
  const named = new Set(['a'])
  await transport.stream.handler.onResponse({ clusters: named, intervalMs: 2_000 })
  clock.advance(1_999)
  assert.deepEqual(loads.asked, [])
  clock.advance(1)
  assert.deepEqual(loads.asked, [named])
  await transport.stream.handler.onResponse({ clusters: null, intervalMs: 2_000 })
  clock.advance(1_500)
  await transport.stream.handler.onResponse({ clusters: null, intervalMs: 2_000 })
  clock.advance(500)
  assert.deepEqual(loads.asked, [named, null], 'a response that changes no interval puts nothing off')
  await transport.stream.handler.onResponse({ clusters: null, intervalMs: 500 })
  clock.advance(1_000)
  assert.equal(loads.asked.length, 4)
})

test('a report without load says that there was none', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  clock.advance(20_000)
  assert.deepEqual(told(transport.stream), ['', '', ''])
})

test('a stream that is refused is opened again with the backoff of ADS, which starts over once the server has answered', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  for (const delayMs of [1_000, 1_600, 2_560]) {
    const { length } = transport.streams
    transport.stream.handler.onEnd({ code: 12, message: 'unknown service' })
    await settle()
    await clock.advanceAsync(delayMs - 1)
    assert.equal(transport.streams.length, length)
    await clock.advanceAsync(1)
    assert.equal(transport.streams.length, length + 1)
  }
  await transport.stream.handler.onResponse(all)
  await clock.advanceAsync(30_000)
  const { length } = transport.streams
  transport.stream.handler.onEnd({ code: 14, message: 'gone' })
  await settle()
  assert.equal(transport.streams.length, length + 1)
})

test('what was counted while there was no stream goes into the next report', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  clock.advance(5_000)
  transport.stream.handler.onEnd({ code: 14, message: 'gone' })
  loads.add('a')
  await clock.advanceAsync(60_000)
  assert.deepEqual(loads.asked, [])
  await transport.stream.handler.onResponse(all)
  clock.advance(10_000)
  assert.deepEqual(told(transport.stream), ['', 'a'])
})

test('the server that serves gets the reports (gRFC A71)', async t => {
  const { transport, second, reporting, loads, clock } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  reporting.follow(0)
  assert.equal(transport.stream.isCancelled, false)
  reporting.follow(1)
  await settle()
  assert.equal(transport.stream.isCancelled, true)
  await second.stream.handler.onResponse(all)
  loads.add('a')
  clock.advance(10_000)
  assert.deepEqual(told(transport.stream), [''])
  assert.deepEqual(told(second.stream), ['', 'a'])
})

test('a move to another server does not wait for the backoff', async t => {
  const { transport, second, reporting, loads } = setUp(t)
  loads.want()
  await settle()
  transport.stream.handler.onEnd({ code: 14, message: 'gone' })
  await settle()
  reporting.follow(1)
  await settle()
  assert.equal(second.streams.length, 1)
})

test('the stream ends when no cluster asks any more, and begins anew when one does', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  loads.isWanted = false
  loads.add('left')
  clock.advance(10_000)
  await settle()
  assert.deepEqual(told(transport.stream), ['', 'left'])
  assert.equal(transport.stream.isFinished, true)
  assert.equal(clock.pendingTimers, 0)
  loads.want()
  await settle()
  assert.equal(transport.streams.length, 2)
})

test('one that asks while the stream ends is not overlooked', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  loads.isWanted = false
  clock.advance(10_000)
  loads.want()
  await settle()
  assert.equal(transport.streams.length, 2)
})

test('clusters that have left are forgotten when nobody takes their reports', async t => {
  const { transport, loads, clock } = setUp(t)
  loads.want()
  await settle()
  loads.isWanted = false
  transport.stream.handler.onEnd({ code: 14, message: 'gone' })
  assert.equal(loads.forgotten, 1)
  await clock.advanceAsync(60_000)
  assert.equal(transport.streams.length, 1)
})

test('closing ends the stream and every timer', async t => {
  const { transport, loads, clock, reporting } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  await reporting.close()
  assert.equal(transport.stream.isCancelled, true)
  assert.equal(clock.pendingTimers, 0)
  loads.want()
  await settle()
  assert.equal(transport.streams.length, 1)
})

test('closing tells what was counted since the last report, and waits until the server has it', async t => {
  const { transport, loads, clock, reporting } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse({ clusters: new Set(['a']), intervalMs: 10_000 })
  clock.advance(10_000)
  loads.add('a')
  let isClosed = false
  const closed = reporting.close().then(() => {
    isClosed = true
  })
  await settle()
  assert.deepEqual(told(transport.stream), ['', '', 'a'])
  assert.deepEqual(loads.asked.at(-1), new Set(['a']))
  assert.deepEqual([transport.stream.isFinished, isClosed], [true, false])
  transport.stream.ended.resolve()
  await closed
  assert.equal(clock.pendingTimers, 0)
})

test('closing waits for the server no longer than a second', async t => {
  const { transport, loads, clock, reporting } = setUp(t)
  loads.want()
  await settle()
  await transport.stream.handler.onResponse(all)
  loads.add('a')
  const closed = reporting.close()
  clock.advance(1_000)
  await closed
})

test('closing before the server has said what it wants tells nothing', async t => {
  const { transport, loads, reporting } = setUp(t)
  loads.want()
  await settle()
  loads.add('a')
  await reporting.close()
  assert.deepEqual([told(transport.stream), transport.stream.isCancelled], [[''], true])
})
