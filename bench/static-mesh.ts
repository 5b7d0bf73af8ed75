import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A static configuration in a file of its own, gone when disposed. */
export interface StaticMesh extends AsyncDisposable {
  readonly path: string
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.${name}` })

/**
 * Writes the configuration of one service, `http://upstream`, of one endpoint, with the policies of an ordinary one: a timeout,
 * retries, outlier detection, least request.
 *
 * @param connections opened at most
 */
export async function staticMesh(port: number, connections: number): Promise<StaticMesh> {
  const retry = { retry_on: '5xx,reset,connect-failure', num_retries: 2 }
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'upstream', timeout: '15s', retry_policy: retry } }]
  const manager = {
    ...type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'upstream',
    route_config: { name: 'upstream', virtual_hosts: [{ name: 'upstream', domains: ['upstream'], routes }] },
    http_filters: [{ name: 'router', typed_config: type('extensions.filters.http.router.v3.Router') }],
  }
  const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: port } } }
  const cluster = {
    name: 'upstream',
    type: 'STATIC',
    lb_policy: 'LEAST_REQUEST',
    outlier_detection: {},
    circuit_breakers: { thresholds: [{ max_connections: connections }] },
    load_assignment: { cluster_name: 'upstream', endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  }
  const config = {
    static_resources: { listeners: [{ name: 'upstream', api_listener: { api_listener: manager } }], clusters: [cluster] },
  }
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
  const path = join(folder, 'mesh.json')
  await writeFile(path, JSON.stringify(config))
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
