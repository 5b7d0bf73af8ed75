import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { createMesh, isMeshError, type Mesh, type MeshOptions, silentLogger } from '../../src/index.ts'
import { FakeAdsServer } from '../support/fake-ads-server.ts'
import {
  FakeConfigSource,
  makeCluster,
  makeOutlierDetection,
  makeRoute,
  makeTarget,
  makeVirtualHost,
} from '../support/fake-config-source.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { serviceMessages } from '../support/xds-resources.ts'

const runtime = { logger: silentLogger }

async function meshOf(t: TestContext, options: MeshOptions): Promise<Mesh> {
  const mesh = await createMesh({ env: {}, runtime, ...options })
  t.after(() => mesh.close())
  return mesh
}

/** A source that knows `reviews`, served by `address`. */
function reviewsAt(...addresses: string[]): FakeConfigSource {
  const source = new FakeConfigSource()
  source.set({
    targets: { reviews: makeTarget([makeVirtualHost([makeRoute('reviews-v1')])]) },
    clusters: [makeCluster('reviews-v1', addresses)],
  })
  return source
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'inmesh-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const staticConfig = (port: number) =>
  JSON.stringify({
    static_resources: {
      listeners: [
        {
          name: 'reviews',
          api_listener: {
            api_listener: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'x',
              route_config: {
                name: 'reviews',
                virtual_hosts: [
                  { name: 'all', domains: ['reviews'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] },
                ],
              },
              http_filters: [
                {
                  name: 'router',
                  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                },
              ],
            },
          },
        },
      ],
      clusters: [
        {
          name: 'c',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'c',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] },
            ],
          },
        },
      ],
    },
  })

describe('createMesh', () => {
  it('calls through a static file, named by option or environment', async t => {
    const upstream = await startUpstream(t)
    const path = join(folder(t), 'mesh.json')
    writeFileSync(path, staticConfig(upstream.port))
    for (const options of [{ staticConfig: path }, { env: { INMESH_STATIC_CONFIG: path } }]) {
      const mesh = await meshOf(t, options)
      assert.equal(await (await mesh.fetch('http://reviews/')).text(), String(upstream.port))
    }
  })

  it('follows a control plane, and starts from its cache while it is away', async t => {
    const upstream = await startUpstream(t)
    const server = await FakeAdsServer.start()
    server.set(...serviceMessages('reviews', upstream.address))
    const env = { INMESH_CONTROL_PLANE: server.target, INMESH_SERVICE: 'test', INMESH_CACHE_DIR: folder(t) }
    const mesh = await createMesh({ env, runtime, hosts: ['reviews'] })
    assert.equal(await (await mesh.fetch('http://reviews/')).text(), String(upstream.port))
    assert.equal(mesh.status()?.staleAuthorities.length, 0)
    await mesh.close()
    server.stop()
    const again = await meshOf(t, { env, hosts: ['reviews'] })
    assert.equal(await (await again.fetch('http://reviews/')).text(), String(upstream.port))
    assert.deepEqual(again.status()?.staleAuthorities, ['reviews'])
  })

  it('tells what to set when there is no configuration', async () => {
    await assert.rejects(createMesh({ env: {} }), error => {
      assert.ok(isMeshError(error))
      assert.equal(error.code, 'MESH_ERR_BOOTSTRAP')
      assert.match(error.message, /INMESH_CONTROL_PLANE.*INMESH_STATIC_CONFIG/)
      return true
    })
  })

  it('fails on a bootstrap that cannot be parsed, naming the place', async t => {
    const path = join(folder(t), 'bootstrap.json')
    writeFileSync(path, '{\n  "xds_servers": [\n}')
    await assert.rejects(createMesh({ env: { GRPC_XDS_BOOTSTRAP: path } }), error => {
      assert.ok(isMeshError(error))
      assert.equal(error.code, 'MESH_ERR_BOOTSTRAP')
      assert.ok(error.message.includes(path))
      return true
    })
  })

  it('waits for the hosts that are named, and fails when none of them comes', async t => {
    const clock = new ManualClock()
    const source = new FakeConfigSource()
    let isReady = false
    const starting = createMesh({ env: {}, runtime: { ...runtime, clock }, source, hosts: ['reviews', '*.example.com'] })
    void starting.then(
      () => (isReady = true),
      () => {},
    )
    await until(() => source.watched.size > 0)
    assert.deepEqual([...source.watched], ['reviews'])
    assert.equal(isReady, false)
    source.set({ targets: { reviews: makeTarget([makeVirtualHost([makeRoute('c')])]) } })
    t.after(async () => (await starting).close())
    await starting

    const silent = new FakeConfigSource()
    const failing = createMesh({ env: {}, runtime: { ...runtime, clock }, source: silent, hosts: ['reviews'] })
    await until(() => silent.watched.size > 0)
    clock.advance(10_000)
    await assert.rejects(failing, error => isMeshError(error) && error.code === 'MESH_ERR_CONFIG_TIMEOUT')
    assert.ok(silent.isClosed)
  })

  it('goes on waiting for a control plane that cannot be reached, and says so in the end', async t => {
    const clock = new ManualClock()
    const away = { kind: 'failed', reason: 'unavailable', message: 'control plane: away' } as const
    const source = new FakeConfigSource()
    const options = { env: {}, runtime: { ...runtime, clock }, source, hosts: ['reviews', 'ratings'] }
    const failing = createMesh(options)
    await until(() => source.watched.size > 0)
    source.set({ targets: { reviews: away, ratings: away } })
    clock.advance(10_000)
    await assert.rejects(failing, { message: 'no configuration for reviews, ratings within 10000 ms: control plane: away' })

    const back = new FakeConfigSource()
    const starting = createMesh({ ...options, source: back, hosts: ['reviews'] })
    await until(() => back.watched.size > 0)
    back.set({ targets: { reviews: away } })
    t.after(async () => (await starting).close())
    clock.advance(9_999)
    back.set({ targets: { reviews: makeTarget([makeVirtualHost([makeRoute('c')])]) } })
    assert.equal((await starting).snapshot().authorities[0]?.state, 'ready')
  })

  it('reaches Node’s own fetch as the global dispatcher', async t => {
    const upstream = await startUpstream(t)
    const mesh = await meshOf(t, { source: reviewsAt(upstream.address) })
    const before = getGlobalDispatcher()
    t.after(() => setGlobalDispatcher(before))
    setGlobalDispatcher(mesh.dispatcher)
    assert.equal(await (await fetch('http://reviews/')).text(), String(upstream.port))
    assert.equal(await (await fetch(`http://${upstream.address}/`)).text(), String(upstream.port))
  })

  it('is only a way past it when it is disabled', async t => {
    const upstream = await startUpstream(t)
    const mesh = await meshOf(t, { env: { INMESH_DISABLED: '1' } })
    assert.equal(mesh.dispatcher, getGlobalDispatcher())
    assert.equal(await (await mesh.fetch(`http://${upstream.address}/`)).text(), String(upstream.port))
    assert.equal(mesh.source, null)
  })

  it('explains where a call would go, and why', async t => {
    const source = reviewsAt('10.0.0.1:80', '10.0.0.2:80')
    const mesh = await meshOf(t, { source })
    assert.deepEqual(mesh.explain({ url: 'http://reviews/x' }).why, [
      'host reviews has route configuration routes',
      'virtual host everything serves reviews',
      'route everything (1 of 1) matches GET /x',
      '100 % goes to cluster reviews-v1: 2 of 2 endpoints usable',
    ])
    const explained = mesh.explain({ url: 'http://reviews/x', method: 'POST' })
    assert.equal(explained.route, 'everything')
    assert.deepEqual(
      explained.clusters.map(({ name, share, endpoints }) => [name, share, endpoints.map(({ address }) => address)]),
      [['reviews-v1', 1, ['10.0.0.1:80', '10.0.0.2:80']]],
    )
    assert.deepEqual(mesh.explain({ url: 'http://127.0.0.1/' }).owner, 'outside')
    assert.deepEqual(mesh.explain({ url: 'http://ratings/' }).why, ['host ratings is being discovered'])
  })

  it('gives a snapshot of what it knows', async t => {
    const mesh = await meshOf(t, {
      source: reviewsAt('10.0.0.1:80'),
      hosts: ['reviews', 'ratings'],
      limits: { startTimeoutMs: 10 },
    })
    const { authorities, clusters } = mesh.snapshot()
    assert.deepEqual(
      authorities.map(({ authority, state }) => [authority, state]),
      [
        ['reviews', 'ready'],
        ['ratings', 'pending'],
      ],
    )
    assert.deepEqual(
      clusters.map(({ name, endpoints }) => [name, endpoints.length]),
      [['reviews-v1', 1]],
    )
    assert.doesNotThrow(() => JSON.stringify(mesh.snapshot()))
  })

  it('tells of configurations and ejections', async t => {
    const upstream = await startUpstream(t, (_seen, response) => response.writeHead(500).end())
    const source = reviewsAt(upstream.address)
    const mesh = await meshOf(t, { source })
    const events: string[] = []
    const off = mesh.on('config', () => events.push('config'))
    mesh.on('eject', ({ cluster, endpoint }) => events.push(`eject ${cluster} ${endpoint}`))
    const outlierDetection = makeOutlierDetection({ consecutive5xx: 1, maxEjectionPercent: 100 })
    source.set({ clusters: [makeCluster('reviews-v1', [upstream.address], { outlierDetection })] })
    await mesh.fetch('http://reviews/')
    off()
    source.set({ clusters: [makeCluster('reviews-v1', [upstream.address])] })
    assert.deepEqual(events, ['config', `eject reviews-v1 ${upstream.address}`])
  })

  it('closes: new calls fail, the source is closed, and it may be closed twice', async () => {
    const source = reviewsAt('10.0.0.1:80')
    const mesh = await createMesh({ env: {}, runtime, source })
    await mesh.close()
    await mesh.close()
    assert.ok(source.isClosed)
    await assert.rejects(mesh.fetch('http://reviews/'), error => {
      assert.ok(error instanceof TypeError)
      assert.ok(isMeshError(error.cause))
      assert.equal(error.cause.code, 'MESH_ERR_CLOSED')
      return true
    })
  })

  it('can be used with `await using`', async () => {
    const source = reviewsAt('10.0.0.1:80')
    {
      await using mesh = await createMesh({ env: {}, runtime, source })
      assert.ok(mesh)
    }
    assert.ok(source.isClosed)
  })
})
