import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { loadBootstrap } from '../../src/discovery/bootstrap.ts'
import type { XdsProtocol } from '../../src/discovery/discovery-message.ts'
import { ResourceSchema } from '../../src/discovery/gen/envoy/service/discovery/v3/discovery_pb.ts'
import type { MeshConfig } from '../../src/discovery/model/mesh-config.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { createXdsConfigSource, type XdsConfigSource } from '../../src/discovery/xds-config-source.ts'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import { FakeAdsServer, type FakeAdsServerOptions } from '../support/fake-ads-server.ts'
import { assignmentMessage, clusterMessage, routeMessage, serviceMessages, wireResource } from '../support/xds-resources.ts'

interface Cleaner {
  after(clean: () => unknown): void
}

const runtime = { clock: systemClock, random: Math.random, logger: silentLogger }

async function startServer(t: Cleaner, options?: FakeAdsServerOptions): Promise<FakeAdsServer> {
  const server = await FakeAdsServer.start(options)
  t.after(() => server.stop())
  return server
}

function connect(
  t: Cleaner,
  target: string,
  features: string[] = ['inmesh.delta'],
  cacheDir?: string,
  ...fallbacks: readonly string[]
): XdsConfigSource {
  const servers = [target, ...fallbacks]
  const json = {
    xds_servers: servers.map(uri => ({ server_uri: uri, channel_creds: [{ type: 'insecure' }], server_features: features })),
  }
  const bootstrap = loadBootstrap({
    GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(json),
    INMESH_SERVICE: 'productpage',
    INMESH_NODE_ID: 'me',
  })
  assert.ok(bootstrap)
  const source = createXdsConfigSource({ bootstrap, runtime, cacheDir })
  t.after(() => source.close())
  return source
}

/** The first tree, now or later, for which `holds`. */
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

const event = (source: XdsConfigSource, name: 'connected' | 'disconnected' | 'nack') =>
  new Promise<unknown>(resolve => {
    const end = source.on(name, value => {
      end()
      resolve(value)
    })
  })

const addressesOf = (config: MeshConfig, name = 'reviews') => {
  const state = config.clusters.get(name)
  return state?.kind === 'ready'
    ? state.assignment.localities.flatMap(({ endpoints }) => endpoints.map(({ address, port }) => `${address}:${port}`))
    : []
}
const has = (address: string) => (config: MeshConfig) => addressesOf(config).includes(address)

for (const protocol of ['sotw', 'delta'] as const satisfies readonly XdsProtocol[]) {
  const features = protocol === 'delta' ? ['inmesh.delta'] : []

  test(`${protocol}: an authority resolves over a real socket, and follows every change`, async t => {
    const server = await startServer(t, { protocols: [protocol] })
    server.set(...serviceMessages('reviews', '10.0.0.1:80'))
    const source = connect(t, server.target, features)
    source.watch('reviews')
    await until(source, has('10.0.0.1:80'))
    const { connected, protocol: spoken, disconnectedSince, types } = source.status()
    assert.deepEqual([connected, spoken, disconnectedSince], [true, protocol, undefined])
    assert.equal(types.cluster.subscribed, 1)
    server.set(assignmentMessage('reviews', '10.0.0.2:80', '10.0.0.3:80'))
    await until(source, has('10.0.0.3:80'))
    server.set(clusterMessage('v2'), assignmentMessage('v2', '10.0.1.1:80'), routeMessage('reviews', 'reviews', 'v2'))
    const config = await until(source, ({ clusters }) => clusters.has('v2'))
    assert.deepEqual([...config.clusters.keys()].sort(), ['reviews', 'v2'])
  })

  test(`${protocol}: every response is acknowledged once`, async t => {
    const server = await startServer(t, { protocols: [protocol] })
    server.set(...serviceMessages('reviews', '10.0.0.1:80'))
    const source = connect(t, server.target, features)
    source.watch('reviews:80')
    server.set(...serviceMessages('reviews:80', '10.0.0.1:80'))
    await server.request(({ typeUrl, nonce }) => typeUrl === typeUrls.clusterLoadAssignment && nonce !== '')
    const nonces = server.requests.map(({ nonce }) => nonce).filter(nonce => nonce !== '')
    assert.ok(nonces.length >= 4)
    if (protocol === 'delta') assert.equal(new Set(nonces).size, nonces.length)
    assert.deepEqual(
      server.requests.filter(({ node }) => node).map(({ node }) => [node?.id, node?.cluster]),
      [['me', 'productpage']],
    )
  })

  test(`${protocol}: a server that comes back is followed again, and meanwhile nothing is lost`, async t => {
    const server = await startServer(t, { protocols: [protocol] })
    server.set(...serviceMessages('reviews', '10.0.0.1:80'))
    const source = connect(t, server.target, features)
    source.watch('reviews')
    const before = await until(source, has('10.0.0.1:80'))
    const disconnected = event(source, 'disconnected')
    server.stop()
    await disconnected
    assert.equal(source.current, before)
    assert.equal(source.status().connected, false)
    assert.ok(Date.now() - (source.status().disconnectedSince ?? 0) < 5_000)
    const again = await startServer(t, { protocols: [protocol], port: server.port })
    again.set(...serviceMessages('reviews', '10.0.0.9:80'))
    await until(source, has('10.0.0.9:80'))
    const [first] = again.requests
    assert.equal(first?.node?.id, 'me')
    assert.equal(first?.nonce, '')
    if (protocol === 'delta') assert.deepEqual(Object.keys(first?.initialVersions ?? {}), ['reviews'])
    else assert.notEqual(first?.version, '')
  })

  test(`${protocol}: A71: the second server of the bootstrap serves until the first can be reached`, async t => {
    const gone = await FakeAdsServer.start({ protocols: [protocol] })
    const second = await startServer(t, { protocols: [protocol] })
    second.set(...serviceMessages('reviews', '10.0.0.2:80'))
    const { port, target } = gone
    gone.stop()
    const source = connect(t, target, features, undefined, second.target)
    source.watch('reviews')
    await until(source, has('10.0.0.2:80'))
    const first = await startServer(t, { protocols: [protocol], port })
    first.set(...serviceMessages('reviews', '10.0.0.1:80'))
    await until(source, has('10.0.0.1:80'))
    assert.deepEqual(addressesOf(source.current), ['10.0.0.1:80'])
    assert.match(source.status().server, new RegExp(`:${port}$`))
  })

  test(`${protocol}: defect 13: a NACK says INVALID_ARGUMENT and every bad field`, async t => {
    const server = await startServer(t, { protocols: [protocol] })
    const bad = clusterMessage('reviews')
    bad.connectTimeout = { $typeName: 'google.protobuf.Duration', seconds: -1n, nanos: 0 }
    Object.assign(bad, { lbPolicy: 99 })
    server.set(...serviceMessages('reviews', '10.0.0.1:80'), bad)
    const source = connect(t, server.target, features)
    const nacked = event(source, 'nack')
    source.watch('reviews')
    const { error } = await server.request(request => request.error !== undefined)
    await nacked
    assert.equal(error?.code, 3)
    assert.match(error?.message ?? '', /connect_timeout/)
    assert.match(error?.message ?? '', /lb_policy/)
    const config = await until(source, ({ targets }) => targets.has('reviews'))
    const state = config.clusters.get('reviews')
    assert.ok(state?.kind === 'failed' && state.reason === 'invalid')
    server.set(clusterMessage('reviews'))
    await until(source, has('10.0.0.1:80'))
  })
}

test('a server without the incremental protocol is followed in the other', async t => {
  const server = await startServer(t, { protocols: ['sotw'] })
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  const source = connect(t, server.target)
  source.watch('reviews')
  await until(source, has('10.0.0.1:80'))
  assert.equal(source.status().protocol, 'sotw')
})

test('delta: a name that does not exist fails at once, and recovers', async t => {
  const server = await startServer(t)
  const source = connect(t, server.target)
  source.watch('reviews')
  const config = await until(source, ({ targets }) => targets.has('reviews'))
  assert.deepEqual(config.targets.get('reviews'), {
    kind: 'failed',
    reason: 'does-not-exist',
    message: 'Listener "reviews": the control plane does not have it',
  })
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  await until(source, has('10.0.0.1:80'))
})

test('an unreachable control plane fails what nothing is held of, and says why', async t => {
  const listening = createServer().listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const address = listening.address()
  assert.ok(address && typeof address === 'object')
  listening.close()
  const source = connect(t, `127.0.0.1:${address.port}`)
  source.watch('reviews')
  const config = await until(source, ({ targets }) => targets.has('reviews'))
  const target = config.targets.get('reviews')
  assert.ok(target?.kind === 'failed' && target.reason === 'unavailable')
  assert.match(target.message, /^control plane 127\.0\.0\.1:\d+: connect ECONNREFUSED 127\.0\.0\.1:\d+ \(node me\)$/)
})

test('a process that starts while the control plane is down uses the last known configuration, and its age shows', async t => {
  const cacheDir = mkdtempSync(join(tmpdir(), 'inmesh-'))
  t.after(() => rmSync(cacheDir, { recursive: true, force: true }))
  const server = await startServer(t)
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  const first = connect(t, server.target, ['inmesh.delta'], cacheDir)
  first.watch('reviews')
  await until(first, has('10.0.0.1:80'))
  await first.close()
  server.stop()

  const second = connect(t, server.target, ['inmesh.delta'], cacheDir)
  const disconnected = second.status().connected
  second.watch('reviews')
  assert.deepEqual(addressesOf(second.current), ['10.0.0.1:80'])
  assert.equal(disconnected, false)
  const { cache, staleAuthorities } = second.status()
  assert.ok(cache && cache.ageMs >= 0 && cache.ageMs < 60_000)
  assert.deepEqual(staleAuthorities, ['reviews'])

  const again = await startServer(t, { port: server.port })
  again.set(...serviceMessages('reviews', '10.0.0.2:80'))
  await until(second, has('10.0.0.2:80'))
  assert.deepEqual(second.status().staleAuthorities, [])
})

test('workloads are told by the node of a new stream, at once and without a loss', async t => {
  const server = await startServer(t)
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  const source = connect(t, server.target)
  source.watch('reviews')
  const before = await until(source, has('10.0.0.1:80'))
  const changes: MeshConfig[] = []
  source.onChange(config => changes.push(config))
  source.setWorkloads([{ service: 'productpage', address: '10.0.0.7', port: 9080, protocol: 'http' }])
  const { node, initialVersions } = await server.request(({ stream, node }) => stream === 1 && node !== undefined)
  assert.deepEqual(node?.metadata?.INMESH_ENDPOINTS, [
    { service: 'productpage', address: '10.0.0.7', port: 9080, protocol: 'http' },
  ])
  assert.deepEqual(Object.keys(initialVersions), ['reviews'])
  server.set(assignmentMessage('reviews', '10.0.0.2:80'))
  await until(source, has('10.0.0.2:80'))
  assert.equal(changes.length, 1)
  assert.equal(source.current.targets, before.targets)
})

test('a process that only serves registers too', async t => {
  const server = await startServer(t)
  const source = connect(t, server.target)
  source.setWorkloads([{ service: 'ratings', address: '10.0.0.7', port: 9080, protocol: 'http' }])
  const { names, node } = await server.request(() => true)
  assert.deepEqual(names, [''])
  assert.ok(node?.metadata?.INMESH_ENDPOINTS)
})

test('bytes that are no response end the stream, and the next one is tried', async t => {
  const server = await startServer(t)
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  const source = connect(t, server.target)
  source.watch('reviews')
  const before = await until(source, has('10.0.0.1:80'))
  server.sendRaw(Uint8Array.of(0xff, 0xff, 0xff))
  await server.request(({ stream }) => stream === 1)
  assert.equal(source.current, before)
})

test('SotW: resources in the Resource wrapper are taken out (xds.config.resource-in-sotw)', async t => {
  const server = await startServer(t, { protocols: ['sotw'] })
  server.set(...serviceMessages('reviews', '10.0.0.1:80'))
  const source = connect(t, server.target, [])
  source.watch('reviews')
  await until(source, has('10.0.0.1:80'))
  const { name, typeUrl, bytes } = wireResource(assignmentMessage('reviews', '10.0.0.5:80'))
  const wrapped = create(ResourceSchema, { name, version: '9', resource: { typeUrl, value: bytes } })
  const value = toBinary(ResourceSchema, wrapped)
  server.send({
    typeUrl,
    versionInfo: '9',
    resources: [{ typeUrl: 'type.googleapis.com/envoy.service.discovery.v3.Resource', value }],
  })
  await until(source, has('10.0.0.5:80'))
})

test('A88: resource_errors are read although the generated types do not have them', async t => {
  const server = await startServer(t, { protocols: ['sotw'], answering: false })
  const source = connect(t, server.target, [])
  source.watch('reviews:80')
  await server.request(({ typeUrl }) => typeUrl === typeUrls.listener)
  const error = new BinaryWriter()
  error.tag(1, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string('reviews:80').join()
  error.tag(2, WireType.LengthDelimited).fork()
  error.tag(1, WireType.Varint).int32(5).tag(2, WireType.LengthDelimited).string('no such service').join()
  const response = new BinaryWriter()
  response.tag(4, WireType.LengthDelimited).string(typeUrls.listener).tag(5, WireType.LengthDelimited).string('n')
  response.tag(7, WireType.LengthDelimited).bytes(error.finish())
  server.sendRaw(response.finish())
  const config = await until(source, ({ targets }) => targets.has('reviews:80'))
  assert.deepEqual(config.targets.get('reviews:80'), {
    kind: 'failed',
    reason: 'does-not-exist',
    message: 'Listener "reviews:80": no such service',
  })
})

test('an assignment larger than the 4 MiB of gRPC arrives', async t => {
  const server = await startServer(t)
  const addresses = Array.from({ length: 100_000 }, (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:80`)
  const large = assignmentMessage('reviews', ...addresses)
  for (const { lbEndpoints } of large.endpoints) {
    for (const each of lbEndpoints)
      if (each.hostIdentifier.case === 'endpoint') each.hostIdentifier.value.hostname = 'a-rather-long-host-name.example'
  }
  assert.ok(wireResource(large).bytes.length > 4 << 20)
  server.set(...serviceMessages('reviews', '10.0.0.1:80'), large)
  const source = connect(t, server.target)
  source.watch('reviews')
  const config = await until(source, ({ clusters }) => clusters.get('reviews')?.kind === 'ready')
  assert.equal(addressesOf(config).length, 100_000)
})

test('nothing is loaded or connected before something is watched', async t => {
  const server = await startServer(t)
  const source = connect(t, server.target)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(server.openStreams, 0)
  await source.close()
  source.watch('reviews')
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(server.openStreams, 0)
})
