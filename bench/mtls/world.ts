import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../test/support/free-ports.ts'
import { SvidAuthority } from '../../test/support/svid-fixtures.ts'
import type { BetweenEnvoys } from '../sidecar/envoy-pair.ts'

/** Certificates of a caller and of a server, and the configuration of both, as files. */
export interface MtlsWorld extends AsyncDisposable {
  readonly folder: string
  /** Where the server is to listen. */
  readonly port: number
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.${name}` })
const serverNames = [{ san_type: 'URI', matcher: { exact: 'spiffe://bench/ns/default/sa/server' } }]
const instance = { instance_name: 'default' }
const roots = { ca_certificate_provider_instance: instance }

/** The mesh's own policies, with what the baseline of the other benchmarks has. */
export async function mtlsWorld(concurrency: number): Promise<MtlsWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-mtls-'))
  const [port = 0] = await freePorts(1)
  const authority = await SvidAuthority.create('bench')
  await writeFile(join(folder, 'ca.crt'), String(authority.root))
  for (const name of ['client', 'server']) {
    const { certificate, privateKey } = await authority.issue(`/ns/default/sa/${name}`)
    await writeFile(join(folder, `${name}.crt`), String(certificate))
    await writeFile(join(folder, `${name}.key`), String(privateKey.export({ type: 'pkcs8', format: 'pem' })), { mode: 0o600 })
  }
  for (const way of ['plain', 'mtls'] as const) {
    await writeFile(
      join(folder, `${way}-client.json`),
      JSON.stringify({ listeners: [listener()], clusters: [cluster(way, port, concurrency)] }),
    )
    await writeFile(join(folder, `${way}-server.json`), JSON.stringify({ listeners: [inbound(way, port)] }))
  }
  await writeFile(
    join(folder, 'once-client.json'),
    JSON.stringify({ listeners: [listener()], clusters: [cluster('mtls', port, concurrency, 1)] }),
  )
  return { folder, port, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

const manager = (routes: object, filters: readonly object[]) => ({
  name: 'http',
  typed_config: {
    ...type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'http',
    route_config: { name: 'routes', virtual_hosts: [{ name: 'all', domains: ['*'], routes: [routes] }] },
    http_filters: [...filters, { name: 'router', typed_config: type('extensions.filters.http.router.v3.Router') }],
  },
})

function listener(): object {
  const retry = { retry_on: '5xx,reset,connect-failure', num_retries: 2 }
  const route = { match: { prefix: '/' }, route: { cluster: 'upstream', timeout: '15s', retry_policy: retry } }
  return { name: 'upstream', filter_chains: [{ filters: [manager(route, [])] }] }
}

function cluster(way: 'plain' | 'mtls', port: number, concurrency: number, requests?: number): object {
  const tls = {
    ...type('extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
    common_tls_context: {
      tls_certificate_provider_instance: instance,
      validation_context: { ...roots, match_typed_subject_alt_names: serverNames },
    },
  }
  const thresholds = [{ max_connections: concurrency }]
  return {
    name: 'upstream',
    type: 'STATIC',
    lb_policy: 'LEAST_REQUEST',
    outlier_detection: {},
    circuit_breakers: { thresholds },
    ...(requests === undefined ? undefined : { max_requests_per_connection: requests }),
    ...(way === 'mtls' ? { transport_socket: { name: 'tls', typed_config: tls } } : undefined),
    load_assignment: {
      cluster_name: 'upstream',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] }],
    },
  }
}

/** The same between two Envoys. */
export function betweenEnvoys(folder: string): BetweenEnvoys {
  const file = (name: string) => ({ filename: join(folder, name) })
  const tls = (side: 'Upstream' | 'Downstream', identity: string, validation: object, more: object) => ({
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        ...type(`extensions.transport_sockets.tls.v3.${side}TlsContext`),
        ...more,
        common_tls_context: {
          tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
          tls_certificates: [{ certificate_chain: file(`${identity}.crt`), private_key: file(`${identity}.key`) }],
          validation_context: { trusted_ca: file('ca.crt'), ...validation },
        },
      },
    },
  })
  return {
    upstream: tls('Upstream', 'client', { match_typed_subject_alt_names: serverNames }, {}),
    downstream: tls('Downstream', 'server', {}, { require_client_certificate: true }),
    filters: policies(),
  }
}

/** The caller by name, two of the methods, and a path that is denied: as the policies of a small service. */
function policies(): readonly object[] {
  const rbac = (name: string, action: string, permission: object, principal: object) => ({
    name,
    typed_config: {
      ...type('extensions.filters.http.rbac.v3.RBAC'),
      rules: { action, policies: { policy: { permissions: [permission], principals: [principal] } } },
    },
  })
  const method = (exact: string) => ({ header: { name: ':method', string_match: { exact } } })
  const caller = { authenticated: { principal_name: { exact: 'spiffe://bench/ns/default/sa/client' } } }
  return [
    rbac('deny', 'DENY', { url_path: { path: { prefix: '/admin' } } }, { any: true }),
    rbac('allow', 'ALLOW', { or_rules: { rules: [method('GET'), method('POST')] } }, caller),
  ]
}

function inbound(way: 'plain' | 'mtls', port: number): object {
  const tls = {
    ...type('extensions.transport_sockets.tls.v3.DownstreamTlsContext'),
    require_client_certificate: true,
    common_tls_context: { tls_certificate_provider_instance: instance, validation_context: roots },
  }
  const route = { match: { prefix: '/' }, non_forwarding_action: {} }
  const chain =
    way === 'plain'
      ? { filters: [manager(route, [])] }
      : { filters: [manager(route, policies())], transport_socket: { name: 'tls', typed_config: tls } }
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  return { name: 'inbound', traffic_direction: 'INBOUND', address, filter_chains: [chain] }
}
