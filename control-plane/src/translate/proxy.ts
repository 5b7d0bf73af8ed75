import { create } from '@bufbuild/protobuf'
import type { Listener } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import type { VirtualHost } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { type RouteConfiguration, RouteConfigurationSchema } from 'inmesh/gen/envoy/config/route/v3/route_pb'
import type { MeshRouting } from '../model/mesh-model.ts'
import { outboundListener } from './listener.ts'
import { defaultPort, domainsOf, namesOf, routedPorts } from './names.ts'
import type { Frontend } from './proxyless.ts'
import type { View } from './view.ts'
import type { VirtualHostTable } from './virtual-host-table.ts'

const httpPort = 80
const singleRoute = 'outbound'

/**
 * For proxies: a listener on the loopback interface for each port of a service, and a route configuration with all services of that
 * port, as Istio has it for a proxy that intercepts nothing. With an outbound port of its own, one listener and one configuration, in
 * which hosts are told apart by their port too.
 */
export function translateProxy(routing: MeshRouting, table: VirtualHostTable, view: View): Frontend {
  return view.outboundPort === undefined ? byPort(routing, table, view) : onePort(routing, table, view, view.outboundPort)
}

function byPort({ services }: MeshRouting, table: VirtualHostTable, view: View): Frontend {
  const all = [...services.values()]
  const numbers = new Set(all.flatMap(service => routedPorts(service).map(({ number }) => number)))
  const listeners = new Map<string, Listener>()
  const routes = new Map<string, RouteConfiguration>()
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const name = String(number)
    const domains = new Domains(all.map(({ host }) => host))
    const virtualHosts = all.flatMap(service => {
      if (!routedPorts(service).some(port => port.number === number)) return []
      const own = domains.claim(service.host, domainsOf(namesOf(service, view), service.addresses, undefined))
      return [table.ofService(service, number, own)]
    })
    if (number === httpPort) {
      for (const host of table.hostsWithoutService) {
        virtualHosts.push(...present(table.ofHost(host, number, domains.claim(host, domainsOf([host], [], undefined)))))
      }
    }
    routes.set(name, routeConfiguration(name, virtualHosts, true))
    const listener = outboundListener(number, name)
    listeners.set(listener.name, listener)
  }
  return { listeners, routes }
}

function onePort({ services }: MeshRouting, table: VirtualHostTable, view: View, outboundPort: number): Frontend {
  const all = [...services.values()]
  const domains = new Domains(all.map(({ host }) => host))
  const virtualHosts = all.flatMap(service => {
    const first = defaultPort(service)
    return routedPorts(service).map(({ number }) => {
      const withPort = domainsOf(namesOf(service, view), service.addresses, number)
      const own = number === first?.number ? withPort : withPort.filter(domain => domain.endsWith(`:${number}`))
      return table.ofService(service, number, domains.claim(service.host, own))
    })
  })
  for (const host of table.hostsWithoutService) {
    const own = domains.claim(host, domainsOf([host], [], httpPort))
    virtualHosts.push(...present(table.ofHost(host, httpPort, own)))
  }
  const listener = outboundListener(outboundPort, singleRoute)
  return {
    listeners: new Map([[listener.name, listener]]),
    routes: new Map([[singleRoute, routeConfiguration(singleRoute, virtualHosts, false)]]),
  }
}

/** Sees that no domain stands in two virtual hosts, which Envoy refuses: a short name yields to a full one, else the first has it. */
class Domains {
  readonly #full: ReadonlySet<string>
  readonly #taken = new Set<string>()

  constructor(full: readonly string[]) {
    this.#full = new Set(full)
  }

  claim(host: string, domains: readonly string[]): readonly string[] {
    const free = domains.filter(domain => !this.#taken.has(domain) && (domain === host || !this.#full.has(domain)))
    for (const domain of free) this.#taken.add(domain)
    return free
  }
}

const present = (virtualHost: VirtualHost | undefined): readonly VirtualHost[] => (virtualHost ? [virtualHost] : [])

const routeConfiguration = (name: string, virtualHosts: readonly VirtualHost[], ignorePort: boolean): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: virtualHosts.filter(({ domains }) => domains.length > 0),
    ignorePortInHostMatching: ignorePort,
    maxDirectResponseBodySizeBytes: 1024 * 1024,
    validateClusters: false,
  })
