/** A cluster's balancer, decoded from `lb_policy` or `load_balancing_policy`. */
export type LoadBalancingConfig =
  | { readonly kind: 'round-robin'; readonly slowStart: SlowStartConfig | undefined }
  | { readonly kind: 'random' }
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
