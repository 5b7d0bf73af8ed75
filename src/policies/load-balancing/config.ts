import type { LoadBalancerSettings } from './custom.ts'

/** A cluster's balancer, decoded from `lb_policy` or `load_balancing_policy`. */
export type LoadBalancingConfig =
  | { readonly kind: 'round-robin'; readonly slowStart: SlowStartConfig | undefined }
  | { readonly kind: 'random' }
  /** Of the application. */
  | { readonly kind: 'custom'; readonly type: string; readonly config: LoadBalancerSettings }
  | {
      readonly kind: 'least-request'
      /** Default 2. */
      readonly choiceCount: number
      /** Default 1. */
      readonly activeRequestBias: number
      readonly slowStart: SlowStartConfig | undefined
    }
  | { readonly kind: 'ring-hash'; readonly minimumRingSize: number; readonly maximumRingSize: number }
  | { readonly kind: 'maglev'; readonly tableSize: number }
  | { readonly kind: 'pick-first'; readonly shuffle: boolean }
  | ClientSideWeightedRoundRobin

/** `ClientSideWeightedRoundRobin`, decoded. */
export interface ClientSideWeightedRoundRobin {
  readonly kind: 'client-side-weighted-round-robin'
  /** How often each endpoint is to report out of band; 0: reports come with answers. */
  readonly oobReportingPeriodMs: number
  /** An endpoint's first reports are not believed for so long. Default 10,000. */
  readonly blackoutPeriodMs: number
  /** A report counts for so long. Default 180,000. */
  readonly weightExpirationPeriodMs: number
  /** Default 1,000; at least 100. */
  readonly weightUpdatePeriodMs: number
  /** What an endpoint's rate of errors adds to its utilization. Default 1. */
  readonly errorUtilizationPenalty: number
  /** What utilization is read from when the application does not say it: `cpu_utilization`, `utilization.<name>`, `named_metrics.<name>`. */
  readonly utilizationMetricNames: readonly string[]
}

/** `SlowStartConfig`, decoded. */
export interface SlowStartConfig {
  readonly windowMs: number
  /** Default 1. */
  readonly aggression: number
  /** 0 to 100; default 10. */
  readonly minWeightPercent: number
}

/** What balancing does about locality and priority (`common_lb_config`). */
export interface CommonLbConfig {
  /** 0 to 100; default 50; 0 turns panic off. */
  readonly healthyPanicThreshold: number
  readonly failTrafficOnPanic: boolean
  readonly localityWeighted: boolean
}
