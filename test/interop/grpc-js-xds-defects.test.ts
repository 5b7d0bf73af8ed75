// What was measured to be wrong in @grpc/grpc-js-xds 1.14.1, beside this client: the same control plane, the same resources, the same calls.
// It has a process of its own. Each test says what either does; one that fails for `theirs` means that a newer version has mended it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { create, createRegistry, fromJson, type JsonObject } from '@bufbuild/protobuf'
import { status } from '@grpc/grpc-js'
import { ClusterSchema } from '../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { ListenerSchema } from '../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import { RouteConfigurationSchema } from '../../src/discovery/gen/envoy/config/route/v3/route_pb.ts'
import { RouterSchema } from '../../src/discovery/gen/envoy/extensions/filters/http/router/v3/router_pb.ts'
import { HttpConnectionManagerSchema } from '../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { createMesh } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { FakeAdsServer, type RecordedRequest } from '../support/fake-ads-server.ts'
import { assignmentMessage, clusterMessage, serviceMessages, type XdsMessage } from '../support/xds-resources.ts'
import { CaseBackends } from './support/case-backends.ts'
import { type ClientAnswer, inProcess, startProgram, type XdsClient } from './support/xds-client.ts'

const echo = '/inmesh.test.Echo/Echo'
const versions = (count: number) => Array.from({ length: count }, (_, index) => ({ version: `v${index + 1}` }))

interface CallOptions {
  readonly method?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
  readonly times?: number
  readonly parallel?: number
}

interface Side {
  /** Id of its node. */
  readonly name: 'theirs' | 'ours'
  /** Calls the service `s`, or another. */
  calls(options?: CallOptions, host?: string): Promise<readonly ClientAnswer[]>
  /** The status of one call. */
  call(options?: CallOptions, host?: string): Promise<string>
}

/** A control plane that speaks what both speak, backends, and the two clients. */
async function start(t: TestContext, backendCount = 1, node: JsonObject = { locality: { region: 'r' } }) {
  const server = await FakeAdsServer.start({ protocols: ['sotw'] })
  const backends = await CaseBackends.start(versions(backendCount))
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-defects-'))
  t.after(() => {
    server.stop()
    backends.close()
    rmSync(folder, { recursive: true })
  })
  const bootstrapOf = (id: string) => ({
    xds_servers: [{ server_uri: server.target, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id, ...node },
  })
  const file = join(folder, 'bootstrap.json')
  writeFileSync(file, JSON.stringify(bootstrapOf('theirs')))
  const program = join(import.meta.dirname, 'grpc-js-xds/client.ts')
  const theirs = startProgram(process.execPath, ['--conditions=@inmesh/source', program], file)
  const mesh = await createMesh({ bootstrap: bootstrapOf('ours'), env: {}, runtime: { logger: silentLogger } })
  const ours = inProcess(mesh)
  t.after(() => Promise.all([theirs.close(), ours.close()]))
  const addresses = [...backends.ports.values()].map(port => `127.0.0.1:${port}`)
  return { server, backends, addresses, theirs: sideOf('theirs', theirs), ours: sideOf('ours', ours) }
}

let count = 0
function sideOf(name: Side['name'], client: XdsClient): Side {
  const calls = (
    { method = echo, metadata = {}, deadlineMs = 5_000, times = 1, parallel = 1 }: CallOptions = {},
    host = 's',
  ): Promise<readonly ClientAnswer[]> => {
    const all = Array.from({ length: times }, (_, number) => ({
      id: `${name}-${count++}`,
      target: `xds:///${host}`,
      method,
      deadlineMs,
      metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, value.replace('#', String(number))])),
    }))
    return client.make(all, parallel)
  }
  return {
    name,
    calls,
    async call(options, host) {
      const [answer] = await calls(options, host)
      return status[answer?.code ?? -1] ?? '?'
    },
  }
}

/** What one call comes to on either side. */
async function both({ theirs, ours }: { readonly theirs: Side; readonly ours: Side }, options?: CallOptions, host?: string) {
  const [one, other] = await Promise.all([theirs.call(options, host), ours.call(options, host)])
  return { theirs: one, ours: other }
}

const registry = createRegistry(HttpConnectionManagerSchema, RouterSchema)
const types = 'type.googleapis.com/envoy.extensions.filters'
const listenerOf = (commonHttpProtocolOptions: JsonObject, name = 's') =>
  fromJson(
    ListenerSchema,
    {
      name,
      apiListener: {
        apiListener: {
          '@type': `${types}.network.http_connection_manager.v3.HttpConnectionManager`,
          rds: { routeConfigName: 's', configSource: { ads: {} } },
          httpFilters: [{ name: 'router', typedConfig: { '@type': `${types}.http.router.v3.Router` } }],
          ...(Object.keys(commonHttpProtocolOptions).length === 0 ? {} : { commonHttpProtocolOptions }),
        },
      },
    },
    { registry },
  )
const routesOf = (...routes: readonly JsonObject[]) =>
  fromJson(RouteConfigurationSchema, { name: 's', virtualHosts: [{ name: 'all', domains: ['*'], routes: [...routes] }] })
/** The service `s`, with its routes in the place of the ordinary one. */
const withRoutes = (addresses: readonly string[], ...routes: readonly JsonObject[]): XdsMessage[] =>
  serviceMessages('s', ...addresses).map(message =>
    message.$typeName === RouteConfigurationSchema.typeName ? routesOf(...routes) : message,
  )
const slow = (ms: number) => ({ 'x-delay-ms': String(ms) })
/** Waits until a client has taken what it was sent last of a type. */
const acknowledged = (server: FakeAdsServer, { name }: Side, typeUrl: string, more: (request: RecordedRequest) => boolean) =>
  server.request(request => request.typeUrl === typeUrl && (request.node?.id ?? name) === name && more(request))

describe('@grpc/grpc-js-xds and this client', () => {
  test('defect 1: a cluster whose endpoints never come', async t => {
    const world = await start(t)
    const bad = { match: { prefix: '/inmesh.test.Other/' }, route: { cluster: 'bad' } }
    world.server.set(
      ...withRoutes(world.addresses, bad, { match: { prefix: '/' }, route: { cluster: 's' } }),
      clusterMessage('bad'),
    )
    assert.deepEqual(await both(world, { deadlineMs: 18_000 }), { theirs: 'DEADLINE_EXCEEDED', ours: 'OK' })
  })

  test('defect 2: a listener that does not exist', async t => {
    const world = await start(t)
    assert.deepEqual(await both(world, { deadlineMs: 18_000 }), { theirs: 'DEADLINE_EXCEEDED', ours: 'UNAVAILABLE' })
  })

  test('defect 4: a listener that was deleted comes back the same', async t => {
    const world = await start(t)
    world.server.set(...serviceMessages('s', ...world.addresses))
    assert.deepEqual(await both(world), { theirs: 'OK', ours: 'OK' })
    world.server.delete(typeUrls.listener, 's')
    while ((await world.theirs.call()) === 'OK');
    world.server.set(...serviceMessages('s', ...world.addresses))
    while ((await world.ours.call()) !== 'OK');
    assert.deepEqual(await both(world), { theirs: 'UNAVAILABLE', ours: 'OK' })
  })

  test('defect 5: a stream that ends after an answer is opened again ever later', async t => {
    const world = await start(t)
    world.server.set(...serviceMessages('s', ...world.addresses))
    await both(world)
    const times = { theirs: [] as number[], ours: [] as number[] }
    const seen = new Set<number>()
    world.server.endStreams()
    while (times.theirs.length < 5 || times.ours.length < 5) {
      const next = await world.server.request(({ stream, node }) => node !== undefined && stream > 1 && !seen.has(stream))
      seen.add(next.stream)
      times[next.node?.id === 'theirs' ? 'theirs' : 'ours'].push(performance.now())
      // It has had every answer.
      const { stream } = next
      await world.server.request(
        each => each.stream === stream && each.typeUrl === typeUrls.clusterLoadAssignment && each.nonce !== '',
      )
      world.server.endStreams()
    }
    const gaps = (each: readonly number[]) => each.slice(1).map((time, index) => time - (each[index] ?? 0))
    t.diagnostic(`ms between streams: theirs ${gaps(times.theirs).map(Math.round)}, ours ${gaps(times.ours).map(Math.round)}`)
    const grown = (each: readonly number[]) => (each.at(3) ?? 0) / (each.at(0) ?? 1)
    assert.ok(grown(gaps(times.theirs)) > 1.8, 'theirs grows')
    assert.ok(grown(gaps(times.ours)) < 1.8, 'ours stays')
  })

  test('defect 6: a listener that gains a field', async t => {
    const world = await start(t)
    const options = { metadata: slow(1_000) }
    world.server.set(...serviceMessages('s', ...world.addresses), listenerOf({}))
    assert.deepEqual(await both(world, options), { theirs: 'OK', ours: 'OK' })
    // Each by the field that it takes for the longest life of a call (defect 7).
    world.server.set(listenerOf({ idleTimeout: '0.3s', maxStreamDuration: '0.3s' }))
    while ((await world.ours.call(options)) === 'OK');
    const { nonce } = world.server.requests.findLast(({ typeUrl }) => typeUrl === typeUrls.listener) ?? assert.fail()
    await acknowledged(world.server, world.theirs, typeUrls.listener, request => Number(request.nonce) >= Number(nonce) - 1)
    assert.deepEqual(await both(world, options), { theirs: 'OK', ours: 'DEADLINE_EXCEEDED' })
  })

  test('defect 7: max_stream_duration is the longest life of a call, and idle_timeout is not', async t => {
    const one = await start(t)
    one.server.set(...serviceMessages('s', ...one.addresses), listenerOf({ maxStreamDuration: '0.3s' }))
    const options = { metadata: slow(1_000) }
    assert.deepEqual(await both(one, options), { theirs: 'OK', ours: 'DEADLINE_EXCEEDED' })
    const two = await start(t)
    two.server.set(...serviceMessages('s', ...two.addresses), listenerOf({ idleTimeout: '0.3s' }))
    assert.deepEqual(await both(two, options), { theirs: 'DEADLINE_EXCEEDED', ours: 'OK' })
  })

  test('defect 8: a backoff of one second', async t => {
    const world = await start(t)
    const retryBackOff = { baseInterval: '1s', maxInterval: '1s' }
    const retryPolicy = { retryOn: 'unavailable', numRetries: 1, retryBackOff }
    world.server.set(...withRoutes(world.addresses, { match: { prefix: '/' }, route: { cluster: 's', retryPolicy } }))
    await both(world)
    const options = { metadata: { 'x-answer': 'UNAVAILABLE', 'x-answer-times': '1' }, deadlineMs: 20_000 }
    const [[theirs], [ours]] = await Promise.all([world.theirs.calls(options), world.ours.calls(options)])
    assert.deepEqual([theirs?.code, ours?.code], [0, 0])
    assert.ok((theirs?.elapsedMs ?? 0) > 5_000, `theirs: ${theirs?.elapsedMs} ms`)
    assert.ok((ours?.elapsedMs ?? 0) < 2_500, `ours: ${ours?.elapsedMs} ms`)
  })

  test('defect 9: two hash policies over a ring', async t => {
    const world = await start(t, 8)
    const hashPolicy = ['x-one', 'x-two'].map(headerName => ({ header: { headerName } }))
    const cluster = clusterMessage('s')
    cluster.lbPolicy = 2
    world.server.set(
      ...withRoutes(world.addresses, { match: { prefix: '/' }, route: { cluster: 's', hashPolicy } }),
      fromJson(ClusterSchema, {
        name: 's',
        type: 'EDS',
        edsClusterConfig: { edsConfig: { ads: {} } },
        lbPolicy: 'RING_HASH',
        ringHashLbConfig: { minimumRingSize: '1024' },
      }),
    )
    const most = async (side: Side) => {
      const answers = await side.calls({ metadata: { 'x-one': 'one #', 'x-two': 'two #' }, times: 400, parallel: 8 })
      const counts = new Map<string, number>()
      for (const { version } of answers) counts.set(version, (counts.get(version) ?? 0) + 1)
      return Math.max(...counts.values()) / answers.length
    }
    const [theirs, ours] = [await most(world.theirs), await most(world.ours)]
    assert.ok(theirs > 0.45, `theirs: ${theirs} of the calls to one of eight`)
    assert.ok(ours < 0.3, `ours: ${ours}`)
  })

  test('defect 10: both sides of an alternation must match the whole path', async t => {
    const world = await start(t)
    const regex = '/inmesh\\.test\\.Echo/E|/never'
    world.server.set(...withRoutes(world.addresses, { match: { safeRegex: { googleRe2: {}, regex } }, route: { cluster: 's' } }))
    assert.deepEqual(await both(world), { theirs: 'OK', ours: 'UNAVAILABLE' })
  })

  test('defect 11: an absent header and an inverted match', async t => {
    const world = await start(t)
    const headers = [{ name: 'x-a', stringMatch: { exact: 'b' }, invertMatch: true }]
    world.server.set(...withRoutes(world.addresses, { match: { prefix: '/', headers }, route: { cluster: 's' } }))
    assert.deepEqual(await both(world), { theirs: 'OK', ours: 'UNAVAILABLE' })
  })

  test('defect 12: a bootstrap without a locality', async t => {
    const world = await start(t, 1, {})
    world.server.set(...serviceMessages('s', ...world.addresses))
    assert.deepEqual(await both(world), { theirs: 'UNAVAILABLE', ours: 'OK' })
  })

  test('defect 13: the status of a refusal', async t => {
    const world = await start(t)
    world.server.set(
      ...serviceMessages('s', ...world.addresses),
      create(ClusterSchema, { name: 's', clusterDiscoveryType: { case: 'type', value: 4 } }),
    )
    both(world, { deadlineMs: 2_000 }).catch(() => {})
    const refusals = new Map<number, number>()
    while (refusals.size < 2) {
      const found = await world.server.request(({ error, stream }) => error !== undefined && !refusals.has(stream))
      refusals.set(found.stream, found.error?.code ?? -1)
    }
    const streamOf = (id: string) => world.server.requests.find(({ node }) => node?.id === id)?.stream ?? -1
    assert.deepEqual(
      { theirs: refusals.get(streamOf('theirs')), ours: refusals.get(streamOf('ours')) },
      { theirs: status.UNAVAILABLE, ours: status.INVALID_ARGUMENT },
    )
  })

  test('defect 14: of two thresholds of one priority the first counts', async t => {
    const world = await start(t)
    world.server.set(
      ...serviceMessages('s', ...world.addresses),
      fromJson(ClusterSchema, {
        name: 's',
        type: 'EDS',
        edsClusterConfig: { edsConfig: { ads: {} } },
        circuitBreakers: { thresholds: [{ maxRequests: 1 }, { maxRequests: 1000 }] },
      }),
      assignmentMessage('s', ...world.addresses),
    )
    await both(world)
    const served = async (side: Side) => {
      const answers = await side.calls({ metadata: slow(500), times: 4, parallel: 4 })
      return answers.filter(({ code }) => code === status.OK).length
    }
    assert.deepEqual({ theirs: await served(world.theirs), ours: await served(world.ours) }, { theirs: 4, ours: 1 })
  })
})
