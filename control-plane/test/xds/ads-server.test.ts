import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { silentLogger } from '../../src/runtime.ts'
import { AdsServer, type AdsServerOptions } from '../../src/xds/ads-server.ts'
import { statusCode } from '../../src/xds/status-code.ts'
import { FakeClient, typeUrls } from '../support/fake-client.ts'
import { assignment, cluster, listener, resourcesOf, route } from '../support/resources.ts'
import { StaticSource } from '../support/static-source.ts'

const { CDS, EDS, LDS, RDS } = typeUrls

/** One service `a` reached by listener `l`, routes `r`. */
const first = {
  clusters: [cluster('a')],
  endpoints: [assignment('a', '10.0.0.1')],
  listeners: [listener('l')],
  routes: [route('r', 'a')],
}
/** The same service moved to cluster `b`. */
const moved = { ...first, clusters: [cluster('b')], endpoints: [assignment('b', '10.0.0.2')], routes: [route('r', 'b')] }

function serve(resources: Parameters<typeof resourcesOf>[0] | undefined, options: Partial<AdsServerOptions> = {}) {
  const clock = new ManualClock()
  const source = new StaticSource(resources && resourcesOf(resources))
  const server = new AdsServer({ clock, logger: silentLogger, source, debounceMs: 0, ...options })
  const set = (next: Parameters<typeof resourcesOf>[0]) => {
    source.set(resourcesOf(next))
    server.update()
  }
  return { clock, source, server, set }
}

/** A delta client that has everything of {@link first} and acknowledged it. */
function connected(server: AdsServer): FakeClient {
  const client = new FakeClient(server, 'delta')
  client.askDelta({ typeUrl: CDS, node: { id: 'n' } })
  client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a'] })
  client.askDelta({ typeUrl: LDS })
  client.askDelta({ typeUrl: RDS, resourceNamesSubscribe: ['r'] })
  assert.deepEqual(acknowledge(client), ['CDS a', 'EDS a', 'LDS l', 'RDS r'])
  return client
}

/** Reads and acknowledges what arrived. */
function acknowledge(client: FakeClient): string[] {
  return client.take().map(response => {
    const typeUrl = typeUrls[response.type as keyof typeof typeUrls]
    if (client.protocol === 'delta') client.askDelta({ typeUrl, responseNonce: response.nonce })
    return [response.type, response.names.join(','), ...response.absent.map(name => `-${name}`)].filter(Boolean).join(' ')
  })
}

describe('protocol', () => {
  test('rule 1: the node of the first request stands for the whole stream', () => {
    const { server } = serve(first)
    const client = new FakeClient(server, 'sotw')
    client.ask({ typeUrl: CDS, node: { id: 'n1' } })
    client.ask({ typeUrl: LDS })
    assert.equal(server.clients()[0]?.nodeId, 'n1')
    assert.deepEqual(client.lines(), ['CDS a', 'LDS l'])
  })

  test('what is asked for by name is told to the source, and so is that it is not any more, by a request or by the end of the stream', () => {
    const { source, server } = serve(first)
    const told: string[] = []
    Object.assign(source, {
      demand: (_: string, typeUrl: string, names: readonly string[]) => void told.push(`+ ${typeUrl === LDS} ${names}`),
      release: (_: string, typeUrl: string, names: readonly string[]) => void told.push(`- ${typeUrl === LDS} ${names}`),
    })
    const delta = new FakeClient(server, 'delta')
    delta.askDelta({ typeUrl: LDS, resourceNamesSubscribe: ['a', 'b'] })
    delta.askDelta({ typeUrl: LDS, resourceNamesSubscribe: ['b'], resourceNamesUnsubscribe: ['a', 'c'] })
    const sotw = new FakeClient(server, 'sotw')
    sotw.ask({ typeUrl: LDS, resourceNames: ['a', 'b'] })
    sotw.ask({ typeUrl: LDS, resourceNames: ['b', 'c'], responseNonce: sotw.take()[0]?.nonce ?? '' })
    delta.hangUp()
    sotw.hangUp()
    sotw.hangUp()
    assert.deepEqual(told, ['+ true a,b', '- true a', '+ true a,b', '+ true c', '- true a', '- true b', '- true b,c'])
  })

  test('rule 2: a nonce of an earlier stream does not keep the first request from being answered', () => {
    const { server } = serve(first)
    const client = new FakeClient(server, 'sotw')
    client.ask({ typeUrl: CDS, responseNonce: 'zz', versionInfo: 'old' })
    assert.deepEqual(client.lines(), ['CDS a'])
  })

  test('rules 5 and 6: a refusal is recorded with its text and causes no resending', () => {
    const { server, set } = serve(first)
    const client = new FakeClient(server, 'sotw')
    client.ask({ typeUrl: CDS })
    for (let round = 0; round < 3; round++) {
      const nonce = client.take().at(-1)?.nonce
      if (nonce) client.ask({ typeUrl: CDS, responseNonce: nonce, errorDetail: { code: 3, message: 'bad a' } })
    }
    assert.equal(client.frames.length, 1)
    const [type] = server.clients()[0]?.types ?? []
    assert.deepEqual([type?.state, type?.error], ['ERROR', 'bad a'])
    set({ ...first, clusters: [cluster('a', '2')] })
    assert.deepEqual(client.lines(), ['CDS a'])
  })

  test('rule 8: a strict subset of the names is answered', () => {
    const { server } = serve({ ...first, clusters: [cluster('a'), cluster('b')] })
    const client = new FakeClient(server, 'sotw')
    client.ask({ typeUrl: CDS, resourceNames: ['b'] })
    assert.deepEqual(client.lines(), ['CDS b'])
  })

  test('rules 12 and 11: the legacy wildcard is per type', () => {
    const { server } = serve(first)
    const client = new FakeClient(server, 'sotw')
    client.ask({ typeUrl: LDS, resourceNames: ['l'] })
    client.ask({ typeUrl: CDS })
    assert.deepEqual(client.lines(), ['LDS l', 'CDS a'])
  })

  test('rules 17, 18, 19 and 32: a missing name is answered at once and sent when it appears', () => {
    for (const protocol of ['sotw', 'delta'] as const) {
      const { server, set } = serve(first)
      const client = new FakeClient(server, protocol)
      if (protocol === 'delta') client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['b'] })
      else client.ask({ typeUrl: EDS, resourceNames: ['b'] })
      const [answer] = client.take()
      assert.deepEqual(answer?.absent, ['b'])
      const responseNonce = answer?.nonce ?? ''
      if (protocol === 'delta') client.askDelta({ typeUrl: EDS, responseNonce })
      else client.ask({ typeUrl: EDS, resourceNames: ['b'], responseNonce })
      set(moved)
      assert.deepEqual(client.lines(), ['EDS b'])
    }
  })

  test('rule 20: versions are equal on every replica, so a client that comes back is sent nothing it has', () => {
    const replicas = [serve(first).server, serve(first).server]
    const versions = replicas.map(server => {
      const client = new FakeClient(server, 'sotw')
      client.ask({ typeUrl: CDS })
      return client.take()[0]?.version
    })
    assert.equal(versions[0], versions[1])
    assert.match(versions[0] ?? '', /^[0-9a-f]{16}$/)
  })

  test('rule 21: system_version_info is the revision, and a resource is in a response once', () => {
    const { server } = serve(first)
    const client = new FakeClient(server, 'delta')
    client.askDelta({ typeUrl: CDS, resourceNamesSubscribe: ['*', 'a'] })
    const [response] = client.take()
    assert.equal(response?.version, '1')
    assert.deepEqual(response?.names, ['a'])
  })

  test('rule 22: an unknown type leaves the other types alone', () => {
    for (const protocol of ['sotw', 'delta'] as const) {
      const { server } = serve(first)
      const client = new FakeClient(server, protocol)
      const typeUrl = 'type.googleapis.com/example.Unknown'
      if (protocol === 'delta') client.askDelta({ typeUrl, resourceNamesSubscribe: ['x'] })
      else client.ask({ typeUrl, resourceNames: ['x'] })
      if (protocol === 'delta') client.askDelta({ typeUrl: CDS })
      else client.ask({ typeUrl: CDS })
      assert.equal(client.ended, undefined)
      assert.deepEqual(client.lines(), [`${typeUrl} -x`, 'CDS a'])
    }
  })

  test('rule 23: a request without a type ends the stream', () => {
    const client = new FakeClient(serve(first).server, 'delta')
    client.askDelta({})
    assert.equal(client.ended?.code, statusCode.invalidArgument)
  })

  test('rule 26: no resource has a time to live, so no client needs heartbeats', () => {
    const client = new FakeClient(serve(first).server, 'delta')
    client.askDelta({ typeUrl: CDS })
    const { ttl } = client.decodeFirstResource()
    assert.equal(ttl, undefined)
  })

  test('rule 27: an ACK that comes back before the write returns is current', () => {
    const { server, set } = serve(first)
    const client = new FakeClient(server, 'sotw')
    const write = client.write.bind(client)
    client.write = frame => {
      write(frame)
      client.ask({ typeUrl: CDS, responseNonce: client.take()[0]?.nonce ?? '' })
    }
    client.ask({ typeUrl: CDS })
    assert.equal(server.clients()[0]?.types[0]?.state, 'SYNCED')
    set({ ...first, clusters: [cluster('a', '2')] })
    assert.equal(client.frames.length, 2)
  })

  test('rule 28: what is no longer subscribed when a slow client can read again is not sent', () => {
    const { server } = serve({ ...first, clusters: [cluster('a'), cluster('b')] })
    const client = new FakeClient(server, 'delta')
    client.congested = true
    client.askDelta({ typeUrl: CDS, resourceNamesSubscribe: ['a', 'b'] })
    client.askDelta({ typeUrl: CDS, resourceNamesUnsubscribe: ['a'] })
    client.drain()
    assert.deepEqual(client.lines(), ['CDS b'])
  })

  test('rule 29: without any configuration a stream is refused instead of served empty', () => {
    const client = new FakeClient(serve(undefined).server, 'delta')
    client.askDelta({ typeUrl: CDS })
    assert.equal(client.ended?.code, statusCode.unavailable)
    assert.equal(client.frames.length, 0)
  })

  test('a resource that cannot be encoded is the fault of this server, and keeps the last good ones', () => {
    const { server, source, set } = serve(first)
    const client = connected(server)
    const broken = resourcesOf({ ...first, clusters: [{ ...cluster('a'), perConnectionBufferLimitBytes: -1 }] })
    source.set(broken)
    server.update()
    assert.deepEqual([client.lines(), client.ended], [[], undefined])
    set({ ...first, clusters: [cluster('a', '2')] })
    assert.deepEqual(client.lines(), ['CDS a', 'EDS a'])
    const late = new FakeClient(
      serve({ ...first, clusters: [{ ...cluster('a'), perConnectionBufferLimitBytes: -1 }] }).server,
      'delta',
    )
    late.askDelta({ typeUrl: CDS })
    assert.equal(late.ended?.code, statusCode.internal)
  })

  test('a request that is not protobuf ends the stream with INVALID_ARGUMENT', () => {
    const client = new FakeClient(serve(first).server, 'delta')
    client.sendRaw(Uint8Array.of(0xff, 0xff, 0xff))
    assert.equal(client.ended?.code, statusCode.invalidArgument)
  })
})

describe('make before break', () => {
  test('rule 24: clusters, endpoints, then routes; what is stale leaves after the routes are accepted', () => {
    const { server, set } = serve(first)
    const client = connected(server)
    set(moved)
    assert.deepEqual(acknowledge(client), ['CDS b'])
    // The cluster warms until it has endpoints: no route leads there yet.
    assert.deepEqual(client.lines(), [])
    client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['b'] })
    assert.deepEqual(acknowledge(client), ['EDS b'])
    assert.deepEqual(acknowledge(client), ['RDS r'])
    assert.deepEqual(acknowledge(client), ['CDS -a', 'EDS -a'])
    assert.deepEqual(acknowledge(client), [])
  })

  test('rule 24: in SotW the stale cluster is repeated until the routes are accepted', () => {
    const { server, set } = serve(first)
    const client = new FakeClient(server, 'sotw')
    const names: Record<string, string[]> = { CDS: [], EDS: ['a', 'b'], LDS: [], RDS: ['r'] }
    const answer = () =>
      client.take().map(({ type, names: got, nonce }) => {
        const typeUrl = typeUrls[type as keyof typeof typeUrls]
        client.ask({ typeUrl, resourceNames: names[type] ?? [], responseNonce: nonce })
        return `${type} ${got.join(',')}`
      })
    for (const [type, resourceNames] of Object.entries(names)) {
      client.ask({ typeUrl: typeUrls[type as keyof typeof typeUrls], resourceNames })
    }
    assert.deepEqual(answer(), ['CDS a', 'EDS a', 'LDS l', 'RDS r'])
    set(moved)
    assert.deepEqual(answer(), ['CDS b,a', 'EDS b'])
    assert.deepEqual(answer(), ['RDS r'])
    assert.deepEqual(answer(), ['CDS b', 'EDS '])
  })

  test('rule 24: a client that never acknowledges the clusters gets the routes after a bounded time', () => {
    const { server, set, clock } = serve(first, { orderTimeoutMs: 2000 })
    const client = connected(server)
    set(moved)
    assert.deepEqual(client.lines(), ['CDS b'])
    clock.advance(1999)
    assert.deepEqual(client.lines(), [])
    clock.advance(1)
    assert.deepEqual(client.lines(), ['RDS r'])
  })

  test('rule 24: routes that are refused keep the old cluster alive for a bounded time', () => {
    const { server, set, clock } = serve(first, { removalTimeoutMs: 15_000 })
    const client = connected(server)
    set(moved)
    acknowledge(client)
    client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['b'] })
    acknowledge(client)
    const [routes] = client.take()
    client.askDelta({ typeUrl: RDS, responseNonce: routes?.nonce ?? '', errorDetail: { code: 3, message: 'no' } })
    clock.advance(14_000)
    assert.deepEqual(client.lines(), [])
    clock.advance(1000)
    assert.deepEqual(client.lines(), ['CDS -a', 'EDS -a'])
  })

  test('rule 25: a changed cluster gets its assignment anew though the endpoints are the same', () => {
    const { server, set } = serve(first)
    const client = connected(server)
    set({ ...first, clusters: [cluster('a', '2')] })
    assert.deepEqual(acknowledge(client), ['CDS a', 'EDS a'])
  })

  test('rule 25: a client that comes back with assignments it knows gets those of clusters it was sent', () => {
    const { server } = serve(first)
    const before = new FakeClient(server, 'delta')
    before.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a'] })
    const { version } = before.decodeFirstResource()
    const client = new FakeClient(server, 'delta')
    client.askDelta({ typeUrl: CDS, initialResourceVersions: { a: 'older' } })
    client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a'], initialResourceVersions: { a: version } })
    assert.deepEqual(client.lines(), ['CDS a', 'EDS a'])
  })
})

describe('pushes', () => {
  test('only those who subscribed to what changed are sent something, all of them the same bytes', () => {
    const both = { clusters: [cluster('a'), cluster('b')], endpoints: [assignment('a', '10.0.0.1'), assignment('b', '10.0.0.2')] }
    const { server, set } = serve(both)
    const [one, two, other] = [0, 1, 2].map(number => {
      const client = new FakeClient(server, 'delta')
      client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: [number < 2 ? 'a' : 'b'] })
      client.askDelta({ typeUrl: EDS, responseNonce: client.take()[0]?.nonce ?? '' })
      return client
    })
    set({ ...both, endpoints: [assignment('a', '10.0.0.9'), assignment('b', '10.0.0.2')] })
    assert.deepEqual(one?.lines(), ['EDS a'])
    assert.deepEqual(two?.lines(), ['EDS a'])
    assert.deepEqual(other?.lines(), [])
    assert.equal(one?.frames.at(-1), two?.frames.at(-1))
  })

  test('views that have the same resources share snapshots and bytes', () => {
    const clock = new ManualClock()
    let resources = resourcesOf(first)
    let revision = 1
    const source = {
      viewOf: (node?: { id: string }) => node?.id ?? '',
      resourcesOf: () => ({ revision: String(revision), resources }),
    }
    const server = new AdsServer({ clock, logger: silentLogger, source, debounceMs: 0 })
    const clients = ['one', 'two'].map(id => {
      const client = new FakeClient(server, 'delta')
      client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a'], node: { id } })
      client.askDelta({ typeUrl: EDS, responseNonce: client.take()[0]?.nonce ?? '' })
      return client
    })
    resources = resourcesOf({ ...first, endpoints: [assignment('a', '10.0.0.9')] })
    revision += 1
    server.update()
    assert.deepEqual(
      clients.map(client => client.lines()),
      [['EDS a'], ['EDS a']],
    )
    assert.equal(clients[0]?.frames.at(-1), clients[1]?.frames.at(-1))
  })

  test('a push to many clients lets the event loop go on in between, and reaches all', async () => {
    const { server, set } = serve(first, { connectsPerSecond: 0 })
    const clients = Array.from({ length: 150 }, () => connected(server))
    set({ ...first, endpoints: [assignment('a', '10.0.0.9')] })
    const reached = () => clients.flatMap(client => client.lines()).length
    assert.equal(reached(), 64)
    // A second change before the first has reached all: those it had not reached get one response.
    set({ ...first, endpoints: [assignment('a', '10.0.0.10')] })
    for (let turn = 0; turn < 4; turn++) await new Promise(resolve => setImmediate(resolve))
    assert.equal(reached(), 86)
  })

  test('a client that has not acknowledged gets the changes since as one, the latest', () => {
    const { server, set } = serve(first)
    const client = new FakeClient(server, 'delta')
    client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a'] })
    const [answer] = client.take()
    for (let last = 2; last < 50; last++) set({ ...first, endpoints: [assignment('a', `10.0.0.${last}`)] })
    assert.deepEqual(client.lines(), [])
    client.askDelta({ typeUrl: EDS, responseNonce: answer?.nonce ?? '' })
    assert.deepEqual(client.lines(), ['EDS a'])
  })

  test('a client that reads slowly gets the latest when it can read again, and no queue before', () => {
    const { server, set } = serve(first)
    const client = connected(server)
    client.congested = true
    for (let last = 2; last < 50; last++) set({ ...first, endpoints: [assignment('a', `10.0.0.${last}`)] })
    assert.deepEqual(client.lines(), [])
    client.drain()
    assert.deepEqual(client.lines(), ['EDS a'])
  })

  test('changes in quick succession are pushed once', () => {
    const { server, set, clock } = serve(first, { debounceMs: 20, maxDebounceMs: 100 })
    const client = connected(server)
    for (let step = 0; step < 4; step++) {
      set({ ...first, endpoints: [assignment('a', `10.0.1.${step}`)] })
      clock.advance(10)
    }
    assert.deepEqual(client.lines(), [])
    clock.advance(10)
    assert.deepEqual(acknowledge(client), ['EDS a'])
    for (let step = 0; step < 20; step++) {
      set({ ...first, endpoints: [assignment('a', `10.0.2.${step}`)] })
      clock.advance(10)
    }
    assert.equal(acknowledge(client).length, 1)
  })

  test('nothing is sent for a revision that changes nothing', () => {
    const { server, set } = serve(first)
    const client = connected(server)
    set({ ...first, endpoints: [assignment('a', '10.0.0.1')] })
    assert.deepEqual(client.lines(), [])
  })
})

describe('limits', () => {
  test('streams beyond the rate are refused until the bucket fills again', () => {
    const { server, clock } = serve(first, { connectsPerSecond: 2 })
    const clients = [0, 1, 2].map(() => new FakeClient(server, 'delta'))
    assert.deepEqual(
      clients.map(({ ended }) => ended?.code),
      [undefined, undefined, statusCode.resourceExhausted],
    )
    clock.advance(500)
    assert.equal(new FakeClient(server, 'delta').ended, undefined)
  })

  test('streams beyond the maximum are refused, and an ended one makes room', () => {
    const { server } = serve(first, { maxStreams: 1 })
    const client = new FakeClient(server, 'delta')
    assert.equal(new FakeClient(server, 'delta').ended?.code, statusCode.resourceExhausted)
    client.hangUp()
    assert.equal(new FakeClient(server, 'delta').ended, undefined)
  })

  test('G18: the streams of one identity leave room for others', () => {
    const { server } = serve(first, { maxStreams: 4 })
    const [one] = [0, 1].map(() => new FakeClient(server, 'delta', 'spiffe://td/a'))
    assert.match(new FakeClient(server, 'delta', 'spiffe://td/a').ended?.message ?? '', /too many streams of spiffe:\/\/td\/a/)
    assert.equal(new FakeClient(server, 'delta', 'spiffe://td/b').ended, undefined)
    one?.hangUp()
    assert.equal(new FakeClient(server, 'delta', 'spiffe://td/a').ended, undefined)
  })

  test('a stream that subscribes to too many names is ended and leaves nothing behind', () => {
    const { server } = serve(first, { maxNamesPerStream: 2 })
    const client = new FakeClient(server, 'delta')
    client.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a', 'b', 'c'] })
    assert.equal(client.ended?.code, statusCode.resourceExhausted)
    assert.equal(server.clients().length, 0)
  })
})

describe('a server that forgot who was there', () => {
  test('keeps what clients bring along until it has settled, and serves new clients at once', () => {
    const { server, set, clock } = serve(first, { settleMs: 10_000 })
    const back = new FakeClient(server, 'delta')
    back.askDelta({ typeUrl: CDS, initialResourceVersions: { a: 'fuller', gone: 'x' } })
    back.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a', 'new'], initialResourceVersions: { a: 'fuller' } })
    assert.deepEqual(back.lines(), ['CDS', 'EDS -new'])
    const fresh = new FakeClient(server, 'delta')
    fresh.askDelta({ typeUrl: EDS, resourceNamesSubscribe: ['a'] })
    assert.deepEqual(fresh.lines(), ['EDS a'])
    set({ ...first, endpoints: [assignment('a', '10.0.0.1', '10.0.0.2')] })
    assert.deepEqual(back.lines(), [])
    clock.advance(10_000)
    assert.ok(!back.lines().includes('EDS -a'))
  })
})
