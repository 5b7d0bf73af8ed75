import type { ObjectMeta } from './object-meta.ts'

/** Kubernetes `v1` Service. */
export interface KubernetesService {
  readonly meta: ObjectMeta
  /** `undefined` for a service whose endpoints are kept by hand. */
  readonly selector: Readonly<Record<string, string>> | undefined
  /** Without `None`. */
  readonly clusterIPs: readonly string[]
  /** Where a service of type ExternalName leads, else empty. */
  readonly externalName: string
  readonly publishNotReadyAddresses: boolean
  readonly ports: readonly KubernetesServicePort[]
}

export interface KubernetesServicePort {
  /** May be empty. */
  readonly name: string
  readonly number: number
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
  /** Empty when not given. */
  readonly appProtocol: string
  /** Number, or the name of a port of the pod. */
  readonly targetPort: number | string
}

/** `discovery.k8s.io/v1` EndpointSlice. */
export interface EndpointSlice {
  readonly meta: ObjectMeta
  /** From the label `kubernetes.io/service-name`. */
  readonly service: string
  /** Port numbers by the name of the service's port. */
  readonly ports: ReadonlyMap<string, number>
  readonly endpoints: readonly SliceEndpoint[]
}

export interface SliceEndpoint {
  /** Any of them reaches the endpoint; the first counts. */
  readonly addresses: readonly string[]
  readonly ready: boolean
  readonly zone: string
  /** `Kind/name` of what stands behind it, or empty. */
  readonly target: string
}
