import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import { parseBootstrap } from '../../src/discovery/bootstrap.ts'
import type { LoadSource } from '../../src/discovery/model/cluster-load.ts'
import type { MeshConfig } from '../../src/discovery/model/mesh-config.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { createXdsConfigSource, type XdsConfigSource } from '../../src/discovery/xds-config-source.ts'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import { FakeAdsServer, type FakeAdsServerOptions } from '../support/fake-ads-server.ts'
import { FakeLoadStatsServer } from '../support/fake-load-stats-server.ts'
import { federatedMessages, federatedName } from '../support/federated-resources.ts'
import { listenerMessage, routeMessage, serviceMessages, wireResource, type XdsMessage } from '../support/xds-resources.ts'

const runtime = { clock: systemClock, random: Math.random, logger: silentLogger }

async function startServer(t: TestContext, options?: FakeAdsServerOptions): Promise<FakeAdsServer> {
  const server = await FakeAdsServer.start(options)
  t.after(() => server.stop())
  return server
}

const serversOf = (...targets: readonly string[]) =>
  targets.map(uri => ({ server_uri: uri, channel_creds: [{ type: 'insecure' }] }))

function connect(t: TestContext, top: string, authorities: object, rest: object = {}): XdsConfigSource {
  const bootstrap = parseBootstrap({ xds_servers: serversOf(top), authorities, ...rest }, 'test', {})
  const source = createXdsConfigSource({ bootstrap, runtime })
  t.after(() => source.close())
  return source
}

function until(source: XdsConfigSource, holds: (config: MeshConfig) => boolean): Promise<MeshConfig> {
  if (holds(source.current)) return Promise.resolve(source.current)
  return new Promise(resolve => {
    const end = source.onChange(config => {
      if (!holds(config)) return
      end()
      resolve(config)
    })
  })
}

const responseOf = (message: XdsMessage) => {
  const { typeUrl, bytes } = wireResource(message)
  return { typeUrl, versionInfo: '1', resources: [{ typeUrl, value: bytes }] }
}

const settled =
  (...watched: readonly string[]) =>
  (config: MeshConfig) =>
    watched.every(name => config.targets.has(name))

const clusterOf = (config: MeshConfig, name: string) => {
  const state = config.clusters.get(name)
  return state?.kind === 'ready'
    ? state.assignment.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address))
    : state?.kind
}

test('each authority is asked of its own server, and one whose authority is not there fails alone (A47)', async t => {
  const [top, other] = [await startServer(t), await startServer(t)]
  top.set(...serviceMessages('reviews', '10.0.0.1:80'))
  other.set(...federatedMessages('auth', 'reviews', '10.0.0.2:80'))
  const source = connect(t, top.target, { auth: { xds_servers: serversOf(other.target) } })
  for (const watched of ['reviews', 'xds://auth/reviews', 'xds://nobody/reviews']) source.watch(watched)
  const config = await until(source, settled('reviews', 'xds://auth/reviews', 'xds://nobody/reviews'))
  assert.deepEqual(clusterOf(config, 'reviews'), ['10.0.0.1'])
  assert.deepEqual(clusterOf(config, federatedName('cluster', 'auth', 'reviews')), ['10.0.0.2'])
  assert.deepEqual(config.targets.get('xds://nobody/reviews'), {
    kind: 'failed',
    reason: 'invalid',
    message: `Listener "${federatedName('listener', 'nobody', 'reviews')}": the bootstrap has no authority "nobody"`,
  })
  assert.deepEqual(other.requests.find(({ typeUrl }) => typeUrl === typeUrls.listener)?.names, [
    federatedName('listener', 'auth', 'reviews'),
  ])
  assert.equal(
    top.requests.some(({ names }) => names.some(name => name.startsWith('xdstp:'))),
    false,
  )
  assert.deepEqual(
    source.status().federated.map(({ server, connected, authorities }) => [server, connected, authorities]),
    [[other.target, true, ['auth']]],
  )
})

test('an old-style route can lead to clusters of an authority, and back', async t => {
  const [top, other] = [await startServer(t), await startServer(t)]
  const cluster = federatedName('cluster', 'auth', 'v2')
  top.set(...serviceMessages('reviews', '10.0.0.1:80'), routeMessage('reviews', 'reviews', cluster))
  other.set(...federatedMessages('auth', 'v2', '10.0.0.2:80'))
  const source = connect(t, top.target, { auth: { xds_servers: serversOf(other.target) } })
  source.watch('reviews')
  const config = await until(source, settled('reviews'))
  assert.deepEqual(clusterOf(config, 'reviews'), ['10.0.0.1'])
  assert.deepEqual(clusterOf(config, cluster), ['10.0.0.2'])
})

test('authorities with the same servers share a stream, and lists with a server in common a connection', async t => {
  const [top, other] = [await startServer(t), await startServer(t)]
  top.set(...federatedMessages('a', 'x', '10.0.0.1:80'), ...federatedMessages('b', 'x', '10.0.0.2:80'))
  top.set(...federatedMessages('c', 'x', '10.0.0.3:80'), ...serviceMessages('x', '10.0.0.4:80'))
  const source = connect(t, top.target, {
    a: {},
    b: { xds_servers: serversOf(top.target) },
    c: { xds_servers: serversOf(top.target, other.target) },
  })
  const watched = ['x', 'xds://a/x', 'xds://b/x', 'xds://c/x']
  for (const name of watched) source.watch(name)
  const { targets } = await until(source, settled(...watched))
  for (const name of watched) assert.equal(targets.get(name)?.kind, 'ready')
  assert.equal(top.openStreams, 2)
  assert.equal(top.peers.size, 1)
  assert.equal(other.requests.length, 0)
})

test('an authority falls back within its own servers (A71)', async t => {
  const gone = await FakeAdsServer.start()
  gone.stop()
  const [top, second] = [await startServer(t), await startServer(t)]
  top.set(...serviceMessages('reviews', '10.0.0.1:80'))
  second.set(...federatedMessages('auth', 'reviews', '10.0.0.2:80'))
  const source = connect(t, top.target, { auth: { xds_servers: serversOf(gone.target, second.target) } })
  source.watch('xds://auth/reviews')
  source.watch('reviews')
  const config = await until(source, settled('xds://auth/reviews', 'reviews'))
  assert.deepEqual(clusterOf(config, federatedName('cluster', 'auth', 'reviews')), ['10.0.0.2'])
  assert.equal(source.status().server, top.target)
  assert.equal(source.status().federated[0]?.server, second.target)
  // One stream each: what the other authority lacks is nothing to the first.
  assert.equal(top.openStreams, 1)
})

test('the templates make names of other authorities: of clients, of servers, with parameters in order', async t => {
  const [top, other] = [await startServer(t), await startServer(t)]
  const inbound = 'xdstp://auth/envoy.config.listener.v3.Listener/server/%5B::%5D:80?a=1&b=2'
  other.set(...federatedMessages('auth', 'host/a%20b', '10.0.0.1:80'))
  const source = connect(
    t,
    top.target,
    { auth: { xds_servers: serversOf(other.target) } },
    {
      client_default_listener_resource_name_template: 'xdstp://auth/envoy.config.listener.v3.Listener/host/%s',
      server_listener_resource_name_template: 'xdstp://auth/envoy.config.listener.v3.Listener/server/%s?b=2&a=1',
    },
  )
  source.watch('a b')
  const config = await until(source, settled('a b'))
  assert.equal(config.targets.get('a b')?.kind, 'ready')
  assert.equal(source.inboundName('[::]:80'), inbound)
  source.watchInbound(inbound)
  await other.request(({ names }) => names.includes(inbound))
  assert.equal(top.requests.length, 0)
})

test('a resource is known by its name in whatever order its parameters are', async t => {
  const top = await startServer(t, { answering: false, protocols: ['sotw'] })
  const source = connect(t, top.target, { auth: {} })
  source.watch('xds://auth/x')
  const { names } = await top.request(({ typeUrl }) => typeUrl === typeUrls.listener)
  assert.deepEqual(names, [federatedName('listener', 'auth', 'x')])
  const routes = federatedName('routeConfiguration', 'auth', 'x')
  top.send(responseOf(listenerMessage(names[0] ?? '', `${routes}?b=2&a=1`)))
  const asked = await top.request(({ typeUrl }) => typeUrl === typeUrls.routeConfiguration)
  assert.deepEqual(asked.names, [`${routes}?a=1&b=2`])
  top.send(responseOf(routeMessage(`${routes}?b=2&a=1`, 'c')))
  const { names: clusters } = await top.request(({ typeUrl }) => typeUrl === typeUrls.cluster)
  assert.deepEqual(clusters, ['c'])
})

test('load is reported to the control plane that a cluster comes from', async t => {
  const [topLoads, otherLoads] = [new FakeLoadStatsServer(), new FakeLoadStatsServer()]
  const [top, other] = [await startServer(t, { loadStats: topLoads }), await startServer(t, { loadStats: otherLoads })]
  const source = connect(t, top.target, { auth: { xds_servers: serversOf(other.target) } })
  const clusters = ['reviews', federatedName('cluster', 'auth', 'reviews')]
  const loadOf = (cluster: string) => ({
    cluster,
    edsServiceName: '',
    intervalMs: 1,
    dropped: 0,
    droppedByCategory: new Map(),
    localities: [],
  })
  source.reportLoads({
    part: (owns): LoadSource => ({
      isWanted: true,
      take: () => clusters.filter(owns).map(loadOf),
      forgetLeft() {},
      onWanted: listener => listener(),
    }),
  })
  const namesOf = async (loads: FakeLoadStatsServer) => {
    await loads.request(0)
    loads.send({ sendAllClusters: true, loadReportingInterval: durationFromMs(100) })
    return (await loads.request(1)).clusterStats.map(({ clusterName }) => clusterName)
  }
  assert.deepEqual(await namesOf(topLoads), ['reviews'])
  assert.deepEqual(await namesOf(otherLoads), [clusters[1]])
})
