import type { Duration } from '@bufbuild/protobuf/wkt'
import type { OutlierDetectionConfig } from '../../policies/outlier-detection.ts'
import type { OutlierDetection } from '../gen/envoy/config/cluster/v3/outlier_detection_pb.ts'
import { type DurationRange, durationMs } from './duration.ts'
import { checkPercent } from './percent.ts'
import type { Problems } from './problems.ts'

/** Decodes `envoy.config.cluster.v3.OutlierDetection` with Envoy's defaults. */
export function decodeOutlierDetection(message: OutlierDetection, problems: Problems): OutlierDetectionConfig {
  const ms = (duration: Duration | undefined, fallback: number, range: DurationRange, field: string) =>
    duration === undefined ? fallback : durationMs(duration, range, problems.at(field))
  const percent = (value: number | undefined, fallback: number, field: string) => checkPercent(value, fallback, problems, field)
  const baseEjectionTimeMs = ms(message.baseEjectionTime, 30_000, 'positive', 'base_ejection_time')
  const maxEjectionTimeMs = ms(message.maxEjectionTime, 300_000, 'positive', 'max_ejection_time')
  return {
    consecutive5xx: message.consecutive5xx ?? 5,
    enforcingConsecutive5xx: percent(message.enforcingConsecutive5xx, 100, 'enforcing_consecutive_5xx'),
    consecutiveGatewayFailure: message.consecutiveGatewayFailure ?? 5,
    enforcingConsecutiveGatewayFailure: percent(
      message.enforcingConsecutiveGatewayFailure,
      0,
      'enforcing_consecutive_gateway_failure',
    ),
    splitExternalLocalOriginErrors: message.splitExternalLocalOriginErrors,
    consecutiveLocalOriginFailure: message.consecutiveLocalOriginFailure ?? 5,
    enforcingConsecutiveLocalOriginFailure: percent(
      message.enforcingConsecutiveLocalOriginFailure,
      100,
      'enforcing_consecutive_local_origin_failure',
    ),
    successRateMinimumHosts: message.successRateMinimumHosts ?? 5,
    successRateRequestVolume: message.successRateRequestVolume ?? 100,
    successRateStdevFactor: message.successRateStdevFactor ?? 1900,
    enforcingSuccessRate: percent(message.enforcingSuccessRate, 100, 'enforcing_success_rate'),
    failurePercentageThreshold: percent(message.failurePercentageThreshold, 85, 'failure_percentage_threshold'),
    failurePercentageMinimumHosts: message.failurePercentageMinimumHosts ?? 5,
    failurePercentageRequestVolume: message.failurePercentageRequestVolume ?? 50,
    enforcingFailurePercentage: percent(message.enforcingFailurePercentage, 0, 'enforcing_failure_percentage'),
    intervalMs: ms(message.interval, 10_000, 'positive', 'interval'),
    baseEjectionTimeMs,
    maxEjectionTimeMs: Math.max(maxEjectionTimeMs, baseEjectionTimeMs),
    maxEjectionTimeJitterMs: ms(message.maxEjectionTimeJitter, 0, 'non-negative', 'max_ejection_time_jitter'),
    maxEjectionPercent: percent(message.maxEjectionPercent, 10, 'max_ejection_percent'),
    alwaysEjectOneHost: message.alwaysEjectOneHost ?? false,
  }
}
