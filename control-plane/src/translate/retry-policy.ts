import { create } from '@bufbuild/protobuf'
import { type Any, AnySchema, durationFromMs } from '@bufbuild/protobuf/wkt'
import {
  type RetryPolicy_RetryHostPredicate as HostPredicate,
  RetryPolicy_RetryHostPredicateSchema as HostPredicateSchema,
  type RetryPolicy,
  RetryPolicySchema,
} from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { PreviousHostsPredicateSchema } from 'inmesh/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb'
import type { HttpRetries } from '../model/virtual-service.ts'
import { pack } from './config-source.ts'
import type { View } from './view.ts'

/** Istio's own: what is safe to send again, because it never reached the peer or the peer says so. */
const defaultRetryOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes'
const defaultAttempts = 2
const hostSelectionAttempts = 5n

/** `update_frequency: 2` of `PreviousPrioritiesConfig`, of which there are no generated types. */
const previousPriorities: Any = create(AnySchema, {
  typeUrl: 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
  value: new Uint8Array([0x08, 0x02]),
})

/**
 * Translates retries; `undefined` turns them off.
 *
 * @param hashes whether the destination picks by hash, so that a retry must go where the first try went
 */
export function translateRetries(retries: HttpRetries | undefined, hashes: boolean, view: View): RetryPolicy | undefined {
  if (retries?.attempts === 0) return undefined
  const avoidsPrevious = retries?.ignorePreviousHosts ?? !hashes
  const statuses = retries?.retryOn.filter(isStatus) ?? []
  return create(RetryPolicySchema, {
    retryOn: conditions(retries?.retryOn ?? [], statuses.length > 0),
    numRetries: retries?.attempts ?? defaultAttempts,
    retriableStatusCodes: statuses.map(Number),
    retryHostPredicate: avoidsPrevious ? [previousHosts()] : [],
    hostSelectionRetryMaxAttempts: hostSelectionAttempts,
    ...(retries?.perTryTimeoutMs === undefined ? {} : { perTryTimeout: durationFromMs(retries.perTryTimeoutMs) }),
    ...(retries?.backoffMs === undefined ? {} : { retryBackOff: { baseInterval: durationFromMs(retries.backoffMs) } }),
    // No client without proxy knows it.
    ...(retries?.retryRemoteLocalities && view.kind === 'envoy'
      ? {
          retryPriority: {
            name: 'envoy.retry_priorities.previous_priorities',
            configType: { case: 'typedConfig' as const, value: previousPriorities },
          },
        }
      : {}),
  })
}

function conditions(retryOn: readonly string[], withStatuses: boolean): string {
  if (retryOn.length === 0) return defaultRetryOn
  const names = retryOn.filter(name => !isStatus(name))
  if (withStatuses && !names.includes('retriable-status-codes')) names.push('retriable-status-codes')
  return names.join(',')
}

/** As Go reads a number, with a sign or without. */
const isStatus = (name: string) => /^[-+]?\d+$/.test(name)

function previousHosts(): HostPredicate {
  return create(HostPredicateSchema, {
    name: 'envoy.retry_host_predicates.previous_hosts',
    configType: { case: 'typedConfig', value: pack(PreviousHostsPredicateSchema, {}) },
  })
}
