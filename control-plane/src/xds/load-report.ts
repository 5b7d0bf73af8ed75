/** A count since its row was made, and how fast it grew in the last report. */
export interface LoadCount {
  readonly total: number
  readonly perSecond: number
}

/** What one client reported of one cluster, by the words of `envoy.config.endpoint.v3.ClusterStats`. */
export interface LoadReport {
  readonly nodeId: string
  /** The service that the client belongs to: the node's `cluster`. May be empty. */
  readonly service: string
  readonly cluster: string
  readonly edsServiceName: string
  /** Wall-clock time in ms of the last report that had it. */
  readonly reportedAtMs: number
  /** Requests dropped, with and without a category. */
  readonly dropped: LoadCount
  readonly droppedByCategory: Readonly<Record<string, LoadCount>>
  readonly localities: readonly LocalityLoadReport[]
}

/** What one client reported of one locality of a cluster. */
export interface LocalityLoadReport {
  readonly region: string
  readonly zone: string
  readonly subZone: string
  readonly priority: number
  readonly issued: LoadCount
  readonly succeeded: LoadCount
  readonly failed: LoadCount
  /** Requests in flight when it was reported. */
  readonly inProgress: number
  /** Sums of what the endpoints reported, since the row was made, by name. */
  readonly metrics: Readonly<Record<string, { readonly count: number; readonly total: number }>>
}
