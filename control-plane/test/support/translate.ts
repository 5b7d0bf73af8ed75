import type { DescMessage } from '@bufbuild/protobuf'
import { isMessage, type Message } from '@bufbuild/protobuf'
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt'
import { type Cluster, ClusterSchema } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_pb'
import { type Listener, ListenerSchema } from 'inmesh/gen/envoy/config/listener/v3/listener_pb'
import type { Route } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { type RouteConfiguration, RouteConfigurationSchema } from 'inmesh/gen/envoy/config/route/v3/route_pb'
import { MeshState } from '../../src/mesh.ts'
import type { RegisteredWorkload } from '../../src/registry/registered-workload.ts'
import { parseDocuments } from '../../src/sources/parse-documents.ts'
import { formatProblem } from '../../src/sources/problem.ts'
import type { LoadReporting } from '../../src/translate/cluster.ts'
import type { View } from '../../src/translate/view.ts'
import { clusterType, endpointType, listenerType, routeType } from '../../src/xds/resource-type.ts'
import type { Resources } from '../../src/xds/snapshot.ts'

const here: View = {
  kind: 'proxyless',
  agent: 'inmesh',
  isIdentified: false,
  namespace: 'default',
  labels: {},
  locality: { region: '', zone: '', subZone: '' },
  outboundPort: undefined,
  reportsLoad: true,
}

/** The view of a client in namespace `default`, but for what is given. */
export const viewWith = (given: Partial<View> = {}): View => ({ ...here, ...given })

/** Resources by name, with errors instead of `undefined`. */
export class Translated {
  readonly resources: Resources

  constructor(resources: Resources) {
    this.resources = resources
  }

  cluster(name: string): Cluster {
    return this.#get(clusterType, ClusterSchema, name)
  }

  assignment(name: string): ClusterLoadAssignment {
    return this.#get(endpointType, ClusterLoadAssignmentSchema, name)
  }

  listener(name: string): Listener {
    return this.#get(listenerType, ListenerSchema, name)
  }

  routeConfiguration(name: string): RouteConfiguration {
    return this.#get(routeType, RouteConfigurationSchema, name)
  }

  /** The routes of the only virtual host of a route configuration. */
  routes(name: string): readonly Route[] {
    const [virtualHost, ...more] = this.routeConfiguration(name).virtualHosts
    if (!virtualHost || more.length > 0) throw new Error(`${name} has not one virtual host`)
    return virtualHost.routes
  }

  /** `address:port` of each endpoint in order. */
  addresses(name: string): readonly string[] {
    return this.assignment(name).endpoints.flatMap(({ lbEndpoints }) =>
      lbEndpoints.map(({ hostIdentifier }) => {
        const at = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
        if (at?.case !== 'socketAddress') throw new Error(`${name} has an endpoint without address`)
        return `${at.value.address}:${at.value.portSpecifier.value}`
      }),
    )
  }

  names(type: 'clusters' | 'assignments' | 'listeners' | 'routes'): readonly string[] {
    const types = { clusters: clusterType, assignments: endpointType, listeners: listenerType, routes: routeType }
    return [...(this.resources.get(types[type])?.keys() ?? [])]
  }

  #get<Desc extends DescMessage>(typeUrl: string, schema: Desc, name: string) {
    const found: Message | undefined = this.resources.get(typeUrl)?.get(name)
    if (!isMessage(found, schema)) throw new Error(`${name} is not among ${[...(this.resources.get(typeUrl)?.keys() ?? [])]}`)
    return found
  }
}

/** Unpacks an extension. */
export function unpack<Desc extends DescMessage>(any: Any | undefined, schema: Desc) {
  const message = any && anyUnpack(any, schema)
  if (!message) throw new Error(`${any?.typeUrl} is no ${schema.typeName}`)
  return message
}

/** A state that has taken `yaml`. */
export function stateOf(yaml: string, workloads: readonly RegisteredWorkload[] = [], loadReporting?: LoadReporting): MeshState {
  const state = new MeshState({ loadReporting })
  const { documents, problems } = parseDocuments('mesh.yaml', yaml)
  const result = state.apply(documents, problems)
  if (result.kind === 'refused') throw new Error(result.problems.map(formatProblem).join('\n'))
  state.setWorkloads(workloads)
  return state
}

/** Translates `yaml` and `workloads` for a view. */
export function translate(yaml: string, view: Partial<View> = {}, workloads: readonly RegisteredWorkload[] = []): Translated {
  return translatedOf(stateOf(yaml, workloads), view)
}

/** What a state serves a view. */
export function translatedOf(state: MeshState, view: Partial<View> = {}): Translated {
  const served = state.resourcesOf(viewWith(view))
  if (!served) throw new Error('nothing is served')
  return new Translated(served.resources)
}

/** A registered workload; `id` also gives the address. */
export function workload(id: number, given: Partial<RegisteredWorkload> = {}): RegisteredWorkload {
  return {
    id: `node-${String(id).padStart(5, '0')}`,
    service: 'reviews',
    namespace: 'default',
    address: `10.0.${id >> 8}.${id & 255}`,
    port: 9080,
    protocol: 'http',
    labels: {},
    locality: { region: '', zone: '', subZone: '' },
    weight: 1,
    ...given,
  }
}

/** A Kubernetes service. */
export const serviceYaml = (name: string, ports = '[{ name: http, port: 9080 }]', more = ''): string => `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: ${ports}${more} }
---
`

/** An object of Istio. */
export const istioYaml = (kind: string, name: string, spec: string, more = ''): string => `apiVersion: networking.istio.io/v1
kind: ${kind}
metadata: { name: ${name}${more} }
spec: ${spec}
---
`
