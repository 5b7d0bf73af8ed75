import type { MetricSum } from '../../policies/endpoint-metrics.ts'
import type { Locality } from './endpoint.ts'

/** What was counted of one cluster since it was last asked for: `envoy.config.endpoint.v3.ClusterStats`. */
export interface ClusterLoad {
  readonly cluster: string
  /** Empty for a cluster without EDS. */
  readonly edsServiceName: string
  /** Time in which it was counted. */
  readonly intervalMs: number
  /** Requests dropped, by category and without one. */
  readonly dropped: number
  readonly droppedByCategory: ReadonlyMap<string, number>
  readonly localities: readonly LocalityLoad[]
}

/** What was counted of one locality: `envoy.config.endpoint.v3.UpstreamLocalityStats`. */
export interface LocalityLoad {
  readonly locality: Locality
  /** Attempts begun. */
  readonly issued: number
  readonly succeeded: number
  readonly failed: number
  /** Attempts in flight now. */
  readonly inProgress: number
  /** By the name that the control plane asked for. */
  readonly metrics: ReadonlyMap<string, Readonly<MetricSum>>
}

/** Where load is counted. */
export interface LoadSource {
  /** Whether a cluster is reported, or one that has left has something to report still. */
  readonly isWanted: boolean
  /**
   * Takes what was counted; a cluster of which there is nothing to say is left out.
   *
   * @param clusters by name; `null`: all
   */
  take(clusters: ReadonlySet<string> | null): readonly ClusterLoad[]
  /** Lets go of the clusters that have left, since there is nobody to report them to. */
  forgetLeft(): void
  /** Calls `listener` whenever {@link isWanted} becomes true. */
  onWanted(listener: () => void): void
}

/** Load that goes to several control planes. */
export interface DividedLoads {
  /** The clusters that are one control plane's. No cluster is in two. */
  part(owns: (cluster: string) => boolean): LoadSource
}
