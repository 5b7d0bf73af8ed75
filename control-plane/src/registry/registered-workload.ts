/** Where a workload runs, in Envoy's words. */
export interface WorkloadLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

/** One service that one workload offers at one address, as it said itself when its stream opened. */
export interface RegisteredWorkload {
  /** `node.id/service/port`: unique, and equal when the same workload comes back. */
  readonly id: string
  readonly service: string
  readonly namespace: string
  /** IPv4 or IPv6 literal. */
  readonly address: string
  readonly port: number
  /** Protocol name as in a Kubernetes port's `appProtocol`, such as `http` or `grpc`. */
  readonly protocol: string
  readonly labels: Readonly<Record<string, string>>
  readonly locality: WorkloadLocality
  /** At least 1; default 1. */
  readonly weight: number
  /** SPIFFE ID of the certificate with which it registered; `undefined` in plaintext. */
  readonly identity?: string | undefined
}
