import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { freePorts } from '../support/free-ports.ts'
import { envoy, goProgram } from '../support/peers.ts'
import { servicePort } from './documents.ts'

/** A process of somebody else's, ended with the test. */
export interface Peer {
  readonly address: string
  close(): Promise<void>
}

async function closing(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
}

/** Istio's discovery server. */
export interface Istiod extends Peer {
  /** Serves other documents instead. */
  rewrite(yaml: string): void
}

/** Istio's discovery server, fed with `yaml`. */
export async function startIstiod(yaml: string): Promise<Istiod> {
  const binary = goProgram('test/istio/istiod')
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-istiod-'))
  const file = join(folder, 'all.yaml')
  writeFileSync(file, yaml)
  // A plain Envoy does not have Istio's own filters.
  const env = { ...process.env, PILOT_ENABLE_METADATA_EXCHANGE: 'false', PILOT_ENABLE_ALPN_FILTER: 'false' }
  const [port = 0] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const child = spawn(binary, [address, file], { stdio: ['ignore', 'pipe', 'inherit'], env })
  await new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).on('line', line => {
      if (line.startsWith('serving')) resolve()
    })
    child.on('exit', code => reject(new Error(`istiod has ended with ${code}`)))
  })
  const rewrite = (next: string) => {
    writeFileSync(file, next)
    child.kill('SIGHUP')
  }
  return { address, rewrite, close: () => closing(child, folder) }
}

/** Whether somebody listens there. */
const connects = (port: number) =>
  new Promise<boolean>(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

/** A cluster of Envoy for a gRPC service at `host:port`. */
function grpcCluster(name: string, address: string): object {
  const [host, port] = address.split(':')
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: Number(port) } } } }] }],
    },
  }
}

/** Who a sidecar is. */
export interface SidecarOptions {
  /** `name.namespace` of its workload. Default `a.default`. */
  readonly workload?: string
  readonly labels?: Readonly<Record<string, string>>
  /** `host:port` of what is its agent's part, the secrets. Default none. */
  readonly secrets?: string
}

/** A real Envoy as a sidecar. */
export interface Sidecar extends Peer {
  /** Resolves when it listens on this port of the loopback interface. */
  listensOn(port: number): Promise<void>
}

/** A real Envoy as a sidecar of the mesh that `xds` steers; its listeners bind the ports themselves. */
export function startProxy(xds: string, { workload = 'a.default', labels = {}, secrets }: SidecarOptions = {}): Sidecar {
  const [name = '', namespace = ''] = workload.split('.')
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-envoy-'))
  const bootstrap = {
    node: {
      id: `sidecar~127.0.0.1~${workload}~${namespace}.svc.cluster.local`,
      cluster: name,
      metadata: {
        NAMESPACE: namespace,
        INTERCEPTION_MODE: 'NONE',
        CLUSTER_ID: 'Kubernetes',
        ISTIO_VERSION: '1.30.0',
        LABELS: labels,
      },
    },
    dynamic_resources: {
      ads_config: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] },
      cds_config: { ads: {}, resource_api_version: 'V3' },
      lds_config: { ads: {}, resource_api_version: 'V3' },
    },
    static_resources: {
      clusters: [grpcCluster('xds', xds), ...(secrets === undefined ? [] : [grpcCluster('sds-grpc', secrets)])],
    },
  }
  const file = join(folder, 'envoy.json')
  writeFileSync(file, JSON.stringify(bootstrap))
  const log = join(folder, 'envoy.log')
  const args = ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn', '--log-path', log]
  const child = spawn(envoy(), args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const listensOn = async (port: number) => {
    for (const end = Date.now() + 30_000; !(await connects(port)); await wait(20)) {
      if (Date.now() < end && child.exitCode === null) continue
      throw new Error(`Envoy does not listen on ${port}:\n${readFileSync(log, 'utf8').slice(-4000)}`)
    }
  }
  return { address: `127.0.0.1:${servicePort}`, listensOn, close: () => closing(child, folder) }
}

/** A real Envoy as a sidecar whose outbound listener is on the port that every case's service has. */
export async function startSidecar(xds: string): Promise<Peer> {
  const sidecar = startProxy(xds)
  try {
    await sidecar.listensOn(servicePort)
  } catch (error) {
    await sidecar.close()
    throw error
  }
  return sidecar
}
