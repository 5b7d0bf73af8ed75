import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark, Row } from './benchmark.ts'
import type { DispatchSettings } from './dispatch/contender.ts'
import { paired } from './paired.ts'
import { startUpstream } from './upstream.ts'

const concurrency = 16

/** undici's `Pool.dispatch` against the mesh: route match, least request, breakers, outlier detection, retry policy and metrics on. */
export const benchmark: Benchmark = {
  name: 'dispatch',
  title: 'undici Pool.dispatch against mesh.dispatcher, CPU of the client process, 16 in flight',
  async *run({ quick }): AsyncIterable<Row> {
    await using upstream = await startUpstream()
    const folder = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
    const staticConfig = join(folder, 'mesh.json')
    await writeFile(staticConfig, JSON.stringify(meshConfig(upstream.port)))
    const contender = (which: DispatchSettings['which']) => ({
      module: new URL('./dispatch/contender.ts', import.meta.url),
      settings: { which, port: upstream.port, requests: quick ? 20_000 : 100_000, concurrency, staticConfig },
    })
    try {
      const row = await paired({
        name: 'dispatch',
        unit: 'µs CPU/request',
        baseline: contender('undici'),
        inmesh: contender('mesh'),
        pairs: quick ? 1 : 5,
      })
      yield { ...row, upstream: upstream.kind }
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.${name}` })

/** One service of one endpoint, with the policies of an ordinary one. */
function meshConfig(port: number): object {
  const route = {
    match: { prefix: '/' },
    route: { cluster: 'upstream', timeout: '15s', retry_policy: { retry_on: '5xx,reset,connect-failure', num_retries: 2 } },
  }
  return {
    static_resources: {
      listeners: [
        {
          name: 'upstream',
          api_listener: {
            api_listener: {
              ...type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
              stat_prefix: 'upstream',
              route_config: { name: 'upstream', virtual_hosts: [{ name: 'upstream', domains: ['upstream'], routes: [route] }] },
              http_filters: [{ name: 'router', typed_config: type('extensions.filters.http.router.v3.Router') }],
            },
          },
        },
      ],
      clusters: [
        {
          name: 'upstream',
          type: 'STATIC',
          lb_policy: 'LEAST_REQUEST',
          outlier_detection: {},
          // The same number of connections on both sides.
          circuit_breakers: { thresholds: [{ max_connections: concurrency }] },
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] },
            ],
          },
        },
      ],
    },
  }
}
