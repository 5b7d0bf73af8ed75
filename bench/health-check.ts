import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark } from './benchmark.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'
import { start } from './started.ts'

const endpoints = 10_000

interface Variant {
  readonly name: string
  readonly halfIsSilent: boolean
  /** Of `core.v3.HealthCheck`, beside those of every variant. */
  readonly check: Readonly<Record<string, unknown>>
}

const variants: readonly Variant[] = [
  { name: 'healthy', halfIsSilent: false, check: { interval: '10s' } },
  { name: 'jitter', halfIsSilent: false, check: { interval: '10s', initial_jitter: '1s' } },
  { name: 'often', halfIsSilent: false, check: { interval: '1s' } },
  { name: 'half silent', halfIsSilent: true, check: { interval: '10s' } },
]

/**
 * What checking many endpoints costs the client, while it is called a hundred times a second: the most that its thread worked in one turn of the
 * event loop, from the start of the mesh on. `longestStallMs` is the longest turn on the clock, with what the machine did meanwhile.
 */
export const benchmark: Benchmark = {
  name: 'health-check',
  title: 'active health checks of 10,000 endpoints: the most work in one turn of the event loop of the client',
  async *run({ quick }) {
    for (const { name, halfIsSilent, check } of variants) {
      using server = await start(new URL('health-check/server.ts', import.meta.url), { halfIsSilent })
      const folder = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
      const path = join(folder, 'mesh.json')
      await writeFile(path, JSON.stringify(config(server.port, check)))
      try {
        const contender = {
          module: new URL('health-check/contender.ts', import.meta.url),
          settings: { path, seconds: quick ? 5 : 30 },
        }
        const samples: Sample[] = []
        for (let run = 0; run < (quick ? 1 : 3); run++) samples.push(await sample(contender))
        const figure = (key: string) => median(samples.map(one => one[key] ?? Number.NaN))
        yield {
          name: `health-check/${name}`,
          unit: 'ms work in one turn',
          baseline: null,
          inmesh: figure('value'),
          ratio: null,
          pairs: samples.length,
          longestStallMs: figure('longestStallMs'),
          cpuPercent: figure('cpuPercent'),
          answered: figure('answered'),
          failed: figure('failed'),
          healthy: figure('healthy'),
        }
      } finally {
        await rm(folder, { recursive: true })
      }
    }
  },
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.${name}` })

/** One service on as many addresses of this machine as there are endpoints. */
function config(port: number, check: Readonly<Record<string, unknown>>) {
  const manager = {
    ...type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    route_config: {
      name: 'big',
      virtual_hosts: [{ name: 'big', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'big' } }] }],
    },
    http_filters: [{ name: 'router', typed_config: type('extensions.filters.http.router.v3.Router') }],
  }
  const lbEndpoints = Array.from({ length: endpoints }, (_, index) => ({
    endpoint: { address: { socket_address: { address: `127.1.${index >> 8}.${index & 255}`, port_value: port } } },
  }))
  const cluster = {
    name: 'big',
    type: 'STATIC',
    health_checks: [
      { timeout: '1s', unhealthy_threshold: 3, healthy_threshold: 1, http_health_check: { path: '/healthz' }, ...check },
    ],
    load_assignment: { cluster_name: 'big', endpoints: [{ lb_endpoints: lbEndpoints }] },
  }
  return {
    static_resources: { listeners: [{ name: 'big', api_listener: { api_listener: manager } }], clusters: [cluster] },
  }
}
