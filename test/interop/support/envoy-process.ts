import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

/** What Envoy is started with. */
export interface EnvoySettings {
  readonly binary: string
  readonly xdsAddress: string
  readonly apiType: 'GRPC' | 'DELTA_GRPC'
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Whether it reports its load to the same server. Default false. */
  readonly reportsLoad?: boolean
  /** The `transport_socket` to the server; default plain text. */
  readonly transportSocket?: object
  /** Beside those of the server. */
  readonly listeners?: readonly object[]
  readonly clusters?: readonly object[]
}

/** A running Envoy that takes all it does from an ADS server. */
export interface EnvoyProcess {
  /** Value of one of its counters or gauges. */
  stat(name: string): Promise<number>
  /** Waits until `probe` gives true. */
  until(what: string, probe: () => Promise<boolean>): Promise<void>
}

/** Starts Envoy until the test ends. */
export async function startEnvoy(
  t: TestContext,
  {
    binary,
    xdsAddress,
    apiType,
    metadata = {},
    reportsLoad = false,
    transportSocket,
    listeners = [],
    clusters = [],
  }: EnvoySettings,
): Promise<EnvoyProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-envoy-'))
  const adminFile = join(folder, 'admin')
  const [address = '', port = ''] = xdsAddress.split(':')
  const socketAddress = { socket_address: { address, port_value: Number(port) } }
  const toServer = { transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] }
  const bootstrap = {
    node: { id: `envoy-${apiType}`, cluster: 'test', metadata },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    dynamic_resources: {
      ads_config: { api_type: apiType, ...toServer },
      cds_config: { ads: {}, resource_api_version: 'V3' },
      lds_config: { ads: {}, resource_api_version: 'V3' },
    },
    ...(reportsLoad ? { cluster_manager: { load_stats_config: { api_type: 'GRPC', ...toServer } } } : {}),
    static_resources: {
      listeners,
      clusters: [
        ...clusters,
        {
          name: 'xds',
          ...(transportSocket === undefined ? {} : { transport_socket: transportSocket }),
          type: 'STATIC',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: { cluster_name: 'xds', endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress } }] }] },
        },
      ],
    },
  }
  const config = join(folder, 'envoy.json')
  await writeFile(config, JSON.stringify(bootstrap))
  const args = ['-c', config, '--admin-address-path', adminFile, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warning']
  const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', chunk => {
    log += chunk
  })
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise(resolve => child.on('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    await rm(folder, { recursive: true, force: true })
  })

  const until = async (what: string, probe: () => Promise<boolean>) => {
    const deadline = Date.now() + 20_000
    while (!(await probe().catch(() => false))) {
      if (Date.now() > deadline || child.exitCode !== null)
        throw new Error(`waited in vain for ${what}; Envoy says:\n${log.slice(-4000)}`)
      await pause(50)
    }
  }
  let admin = ''
  await until('the admin port', async () => {
    admin = (await readFile(adminFile, 'utf8')).trim()
    return admin !== ''
  })
  const stat = async (name: string) => {
    const lines = await (await fetch(`http://${admin}/stats?filter=${encodeURIComponent(`^${name}$`)}`)).text()
    return Number(lines.match(/: (\d+)$/m)?.[1] ?? Number.NaN)
  }
  return { stat, until }
}
