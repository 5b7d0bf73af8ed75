import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createMesh, type HealthEvent, type Mesh, silentLogger } from '../../src/index.ts'
import { startUpstream, type Upstream } from '../support/http-upstream.ts'

/** Envoy resources, as a control plane or a file has them. */
function staticConfig(upstreams: readonly Upstream[]): string {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'x',
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['reviews'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }],
    },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  }
  const healthCheck = {
    timeout: '1s',
    interval: '0.02s',
    no_traffic_interval: '0.02s',
    unhealthy_threshold: 2,
    healthy_threshold: 2,
    http_health_check: { path: '/healthz' },
  }
  const lbEndpoints = upstreams.map(({ port }) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  }))
  return JSON.stringify({
    static_resources: {
      listeners: [{ name: 'reviews', api_listener: { api_listener: manager } }],
      clusters: [
        {
          name: 'c',
          type: 'STATIC',
          connect_timeout: '1s',
          common_lb_config: { healthy_panic_threshold: { value: 0 } },
          health_checks: [healthCheck],
          load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: lbEndpoints }] },
        },
      ],
    },
  })
}

async function meshOver(t: TestContext, upstreams: readonly Upstream[]): Promise<Mesh> {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'mesh.json')
  writeFileSync(config, staticConfig(upstreams))
  const mesh = await createMesh({ env: { INMESH_STATIC_CONFIG: config }, runtime: { logger: silentLogger } })
  t.after(() => mesh.close())
  return mesh
}

function nextHealth(mesh: Mesh): Promise<HealthEvent> {
  return new Promise(resolve => {
    const end = mesh.on('health', event => {
      end()
      resolve(event)
    })
  })
}

test('an endpoint whose /healthz turns 503 gets no more traffic, and comes back', async t => {
  let status = 200
  const start = (name: string, health: () => number) =>
    startUpstream(t, ({ url }, response) => {
      if (url === '/healthz') response.writeHead(health()).end()
      else response.end(name)
    })
  const upstreams = await Promise.all([start('well', () => 200), start('sick', () => status)])
  const mesh = await meshOver(t, upstreams)
  const called = async () => {
    const answers = new Set<string>()
    for (let call = 0; call < 10; call++) {
      const response = await mesh.fetch('http://reviews/')
      assert.equal(response.status, 200)
      answers.add(await response.text())
    }
    return [...answers].sort()
  }
  // No call before the first check is refused, though nobody is known to be well and panic is off.
  assert.equal((await mesh.fetch('http://reviews/')).status, 200)
  const failed = nextHealth(mesh)
  status = 503
  const { cluster, endpoint, isHealthy, reason } = await failed
  assert.deepEqual([cluster, endpoint, isHealthy, reason], ['c', upstreams[1]?.address, false, 'status 503'])
  assert.deepEqual(await called(), ['well'])
  const shown = () => mesh.snapshot().clusters[0]?.endpoints.map(({ failedHealthCheck }) => failedHealthCheck)
  assert.deepEqual(shown(), [false, true])
  const back = nextHealth(mesh)
  status = 200
  assert.equal((await back).isHealthy, true)
  assert.deepEqual(await called(), ['sick', 'well'])
  assert.deepEqual(shown(), [false, false])
})
