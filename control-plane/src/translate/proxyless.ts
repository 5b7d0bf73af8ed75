import { create } from '@bufbuild/protobuf'
import type { Listener } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import type { VirtualHost } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { type RouteConfiguration, RouteConfigurationSchema } from 'inmesh/gen/envoy/config/route/v3/route_pb'
import type { MeshRouting } from '../model/mesh-model.ts'
import { routeName } from './cluster-name.ts'
import { apiListener } from './listener.ts'
import { defaultPort, domainsOf, namesOf, routedPorts } from './names.ts'
import type { View } from './view.ts'
import type { VirtualHostTable } from './virtual-host-table.ts'

/** Listeners and routes by name. */
export interface Frontend {
  readonly listeners: ReadonlyMap<string, Listener>
  readonly routes: ReadonlyMap<string, RouteConfiguration>
}

/** The port of a host that is called without one. */
const httpPort = 80

/**
 * For clients without proxy: a listener for each name of a service with each of its ports, and one without port that means the
 * default port; a route configuration for each port. Wildcard hosts are left out, for clients ask for names.
 */
export function translateProxyless({ services }: MeshRouting, table: VirtualHostTable, view: View): Frontend {
  const listeners = new Map<string, Listener>()
  const routes = new Map<string, RouteConfiguration>()
  const listen = (names: readonly string[], route: string) => {
    // The first to have a name keeps it: full names come before short ones.
    for (const name of names) if (!listeners.has(name)) listeners.set(name, apiListener(name, route))
  }
  const called = [...services.values()].filter(({ host }) => !host.startsWith('*'))
  for (const service of called) {
    for (const { number } of routedPorts(service)) {
      const name = routeName(number, service.host)
      const domains = domainsOf(namesOf(service, view), service.addresses, number)
      routes.set(name, routeConfiguration(name, table.ofService(service, number, domains)))
      listen([`${service.host}:${number}`], name)
    }
    const port = defaultPort(service)
    if (port) listen([service.host], routeName(port.number, service.host))
  }
  for (const service of called) {
    const [, ...aliases] = namesOf(service, view)
    for (const { number } of routedPorts(service)) {
      listen(
        aliases.map(alias => `${alias}:${number}`),
        routeName(number, service.host),
      )
    }
    const port = defaultPort(service)
    if (port) listen(aliases, routeName(port.number, service.host))
  }
  for (const host of table.hostsWithoutService) {
    const name = routeName(httpPort, host)
    const virtualHost = host.startsWith('*') ? undefined : table.ofHost(host, httpPort, domainsOf([host], [], httpPort))
    if (!virtualHost) continue
    routes.set(name, routeConfiguration(name, virtualHost))
    listen([host, `${host}:${httpPort}`], name)
  }
  return { listeners, routes }
}

const routeConfiguration = (name: string, virtualHost: VirtualHost): RouteConfiguration =>
  create(RouteConfigurationSchema, { name, virtualHosts: [virtualHost], maxDirectResponseBodySizeBytes: 1024 * 1024 })
