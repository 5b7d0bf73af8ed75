/** A configuration of one service of one endpoint, with the policies of an ordinary one, as a file of Envoy resources. */
const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.${name}` })

/**
 * @param port of the endpoint on this machine
 * @param maxConnections to it
 */
export function meshConfig(port: number, maxConnections: number): object {
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
          circuit_breakers: { thresholds: [{ max_connections: maxConnections }] },
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
