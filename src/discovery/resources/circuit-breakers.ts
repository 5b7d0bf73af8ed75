import { type CircuitBreakerThresholds, defaultThresholds, type RetryBudgetConfig } from '../../policies/circuit-breaker.ts'
import type {
  CircuitBreakers,
  CircuitBreakers_Thresholds_RetryBudget as RetryBudgetMessage,
  CircuitBreakers_Thresholds as ThresholdsMessage,
} from '../gen/envoy/config/cluster/v3/circuit_breaker_pb.ts'
import type { ClusterConfig } from '../model/cluster.ts'
import { decodePercent } from './percent.ts'
import type { Problems } from './problems.ts'

/** Decodes `CircuitBreakers`. Of several thresholds for one priority the first counts (gRFC A32). */
export function decodeCircuitBreakers(
  message: CircuitBreakers | undefined,
  problems: Problems,
): ClusterConfig['circuitBreakers'] {
  let byDefault: CircuitBreakerThresholds | undefined
  let high: CircuitBreakerThresholds | undefined
  message?.thresholds.forEach((thresholds, index) => {
    const decoded = decodeThresholds(thresholds, problems.at('thresholds', index))
    if (thresholds.priority === 1) high ??= decoded
    else if (thresholds.priority === 0) byDefault ??= decoded
    else problems.at('thresholds', index).addAt('priority', `is unknown: ${thresholds.priority}`)
  })
  return { default: byDefault ?? defaultThresholds, high: high ?? defaultThresholds }
}

function decodeThresholds(message: ThresholdsMessage, problems: Problems): CircuitBreakerThresholds {
  return {
    maxConnections: message.maxConnections ?? defaultThresholds.maxConnections,
    maxPendingRequests: message.maxPendingRequests ?? defaultThresholds.maxPendingRequests,
    maxRequests: message.maxRequests ?? defaultThresholds.maxRequests,
    maxRetries: message.maxRetries ?? defaultThresholds.maxRetries,
    retryBudget: message.retryBudget && decodeRetryBudget(message.retryBudget, problems.at('retry_budget')),
  }
}

function decodeRetryBudget(message: RetryBudgetMessage, problems: Problems): RetryBudgetConfig {
  return {
    budgetPercent: decodePercent(message.budgetPercent, 20, problems.at('budget_percent')),
    minRetryConcurrency: message.minRetryConcurrency ?? 3,
  }
}
