import type { Message } from '@bufbuild/protobuf'
import type { Cluster } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import type { ClusterLoadAssignment } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_pb'
import type { MeshModel, MeshRouting } from '../model/mesh-model.ts'
import { type MeshEndpoint, type MeshService, selects } from '../model/mesh-service.ts'
import { clusterType, endpointType, listenerType, routeType } from '../xds/resource-type.ts'
import type { Resources } from '../xds/snapshot.ts'
import { assignment } from './assignment.ts'
import { peerAuthenticationMode } from './authorization/peer-authentication-mode.ts'
import { type LoadReporting, translateCluster } from './cluster.ts'
import { clusterName } from './cluster-name.ts'
import { inboundAddress, translateInbound } from './inbound.ts'
import type { LocalityPlan } from './locality-plan.ts'
import { translateProxy } from './proxy.ts'
import { type Frontend, translateProxyless } from './proxyless.ts'
import { TrafficPolicies } from './traffic-policies.ts'
import type { View } from './view.ts'
import { VirtualHostTable } from './virtual-host-table.ts'

/** What a translation is told beside the mesh. */
export interface TranslatorOptions {
  /** What a client reports that can. Default: nothing. */
  readonly loadReporting?: LoadReporting | undefined
  /** Of the SPIFFE IDs of the workloads. Default `cluster.local`. */
  readonly trustDomain?: string | undefined
}

/** Listeners of servers in one view: there are not more ports. */
const maxInbound = 4096

/** What an endpoint change leaves as it is. */
interface Static extends Frontend {
  readonly routing: MeshRouting
  readonly policies: TrafficPolicies
}

/**
 * Translates a mesh for one view. Deterministic: the same mesh gives the same bytes. A change of endpoints leaves listeners and routes
 * as they are, and of clusters and assignments touches those of the services whose endpoints changed.
 */
export class Translator {
  readonly #view: View
  readonly #trustDomain: string
  readonly #loadReporting: LoadReporting | undefined
  #inbound: ReadonlySet<string> = new Set()
  /** Listeners of servers, by name; `undefined` where there is none. */
  #inboundListeners = new Map<string, Message | undefined>()
  #listeners:
    | { readonly of: Static; readonly inbound: ReadonlySet<string>; readonly all: ReadonlyMap<string, Message> }
    | undefined
  #static: Static | undefined
  #services = new Map<string, ServiceResources>()

  constructor(view: View, { loadReporting, trustDomain = 'cluster.local' }: TranslatorOptions = {}) {
    this.#view = view
    this.#trustDomain = trustDomain
    this.#loadReporting = view.reportsLoad ? loadReporting : undefined
  }

  /** Makes these listeners of servers, by their names, from the next translation on. Returns whether they are others than before. */
  serveInbound(names: ReadonlySet<string>): boolean {
    if (this.#view.kind !== 'proxyless') return false
    const made = new Set([...names].filter(name => inboundAddress(name)).slice(0, maxInbound))
    if (made.size === this.#inbound.size && [...made].every(name => this.#inbound.has(name))) return false
    this.#inbound = made
    return true
  }

  translate({ routing, endpoints }: MeshModel): Resources {
    if (this.#static?.routing !== routing) {
      this.#static = this.#translateStatic(routing)
      this.#services = new Map()
    }
    const { policies, routes } = this.#static
    const clusters = new Map<string, Message>()
    const assignments = new Map<string, Message>()
    for (const service of routing.services.values()) {
      const own = this.#ofService(service, endpoints.get(service.host) ?? [], policies)
      for (const cluster of own.clusters) clusters.set(cluster.name, cluster)
      for (const each of own.assignments) assignments.set(each.clusterName, each)
    }
    return new Map<string, ReadonlyMap<string, Message>>([
      [clusterType, clusters],
      [endpointType, assignments],
      [listenerType, this.#allListeners(this.#static)],
      [routeType, routes],
    ])
  }

  #allListeners(known: Static): ReadonlyMap<string, Message> {
    if (this.#listeners?.of !== known || this.#listeners.inbound !== this.#inbound) {
      const before = this.#listeners?.of === known ? this.#inboundListeners : new Map<string, Message | undefined>()
      const all = new Map<string, Message>(known.listeners)
      this.#inboundListeners = new Map()
      for (const name of this.#inbound) {
        const listener = before.get(name) ?? translateInbound(name, known.routing, this.#view, this.#trustDomain)
        this.#inboundListeners.set(name, listener)
        if (listener) all.set(name, listener)
      }
      this.#listeners = { of: known, inbound: this.#inbound, all }
    }
    return this.#listeners.all
  }

  #translateStatic(routing: MeshRouting): Static {
    const policies = new TrafficPolicies(routing, this.#view)
    const table = new VirtualHostTable(routing, policies, this.#view)
    const translate = this.#view.kind === 'proxyless' ? translateProxyless : translateProxy
    return { routing, policies, ...translate(routing, table, this.#view) }
  }

  #ofService(service: MeshService, endpoints: readonly MeshEndpoint[], policies: TrafficPolicies): ServiceResources {
    const known = this.#services.get(service.host)
    if (known?.endpoints === endpoints) return known
    // Only a service that is looked up has its endpoints in its clusters.
    const clusters = known && service.resolution === 'listed' ? known.clusters : this.#clusters(service, endpoints, policies)
    const assignments = service.resolution === 'listed' ? this.#assignments(service, endpoints, policies) : []
    const resources = { endpoints, clusters, assignments }
    this.#services.set(service.host, resources)
    return resources
  }

  #clusters(service: MeshService, endpoints: readonly MeshEndpoint[], policies: TrafficPolicies): readonly Cluster[] {
    return subsetsOf(service, policies).flatMap(({ name: subset, labels }) =>
      service.ports.flatMap(port => {
        const policy = policies.ofCluster(service.host, subset, port.number)
        const loadReporting = this.#loadReporting
        const input = {
          loadReporting,
          service,
          port,
          subset,
          policy,
          endpoints: endpoints.filter(each => selects(labels, each.labels)),
          plan: this.#localityPlan(policies, service.host, subset, port.number),
        }
        return translateCluster(input, this.#view, this.#trustDomain) ?? []
      }),
    )
  }

  #assignments(
    service: MeshService,
    endpoints: readonly MeshEndpoint[],
    policies: TrafficPolicies,
  ): readonly ClusterLoadAssignment[] {
    return subsetsOf(service, policies).flatMap(({ name: subset, labels }) => {
      const members = subset === '' ? endpoints : endpoints.filter(each => selects(labels, each.labels))
      return service.ports.map(({ number }) => {
        const plan = this.#localityPlan(policies, service.host, subset, number)
        const name = clusterName(number, subset, service.host)
        return assignment(name, members, number, plan, endpoint => this.#takesMutualTls(service, endpoint, number))
      })
    })
  }

  /** A caller without an identity cannot do what a document alone declares. */
  #takesMutualTls({ namespace }: MeshService, endpoint: MeshEndpoint, port: number): boolean {
    const { identity, isDeclaredMutual, labels, ports } = endpoint
    const policies = this.#static?.routing.peerAuthentications ?? []
    if (identity === undefined && !(isDeclaredMutual && this.#view.isIdentified)) return false
    return peerAuthenticationMode({ namespace, labels }, policies, ports.get(port) ?? port) !== 'DISABLE'
  }

  #localityPlan(policies: TrafficPolicies, host: string, subset: string, port: number): LocalityPlan {
    const { loadBalancer, outlierDetection } = policies.ofCluster(host, subset, port)
    const { locality, labels } = this.#view
    return { locality, labels, setting: loadBalancer?.locality, hasOutlierDetection: outlierDetection !== undefined }
  }
}

interface ServiceResources {
  readonly endpoints: readonly MeshEndpoint[]
  readonly clusters: readonly Cluster[]
  readonly assignments: readonly ClusterLoadAssignment[]
}

/** Everything, then each subset. */
const subsetsOf = ({ host }: MeshService, policies: TrafficPolicies) => [
  { name: '', labels: {} },
  ...policies.ofHost(host).subsets,
]
