/** `envoy.config.cluster.v3.OutlierDetection`, decoded with Envoy's defaults. Percentages are 0 to 100. */
export interface OutlierDetectionConfig {
  /** Default 5; 0 is off. */
  readonly consecutive5xx: number
  /** Default 100. */
  readonly enforcingConsecutive5xx: number
  /** Default 5. */
  readonly consecutiveGatewayFailure: number
  /** Default 0. */
  readonly enforcingConsecutiveGatewayFailure: number
  /** Default false. */
  readonly splitExternalLocalOriginErrors: boolean
  /** Default 5. */
  readonly consecutiveLocalOriginFailure: number
  /** Default 100. */
  readonly enforcingConsecutiveLocalOriginFailure: number
  readonly successRateMinimumHosts: number
  readonly successRateRequestVolume: number
  /** Default 1900, in thousandths. */
  readonly successRateStdevFactor: number
  readonly enforcingSuccessRate: number
  readonly failurePercentageThreshold: number
  readonly failurePercentageMinimumHosts: number
  readonly failurePercentageRequestVolume: number
  /** Default 0. */
  readonly enforcingFailurePercentage: number
  /** Default 10,000. */
  readonly intervalMs: number
  /** Default 30,000. */
  readonly baseEjectionTimeMs: number
  /** Default 300,000, and at least the base. */
  readonly maxEjectionTimeMs: number
  readonly maxEjectionTimeJitterMs: number
  /** Default 10. */
  readonly maxEjectionPercent: number
  readonly alwaysEjectOneHost: boolean
}
