import type { TestContext } from 'node:test'
import { Agent, type Dispatcher } from 'undici'
import { ClusterManager } from '../../src/client/cluster-manager.ts'
import { DataPlane } from '../../src/client/data-plane.ts'
import { type DnsLookup, systemLookup } from '../../src/client/dns-resolver.ts'
import type { ExchangeEnvironment } from '../../src/client/exchange-record.ts'
import { MeshDispatcher, type OutboundPolicy } from '../../src/client/http/mesh-dispatcher.ts'
import type { LoadStats } from '../../src/client/load-stats.ts'
import type { EjectionEvent } from '../../src/client/mesh-events.ts'
import { type HostRule, MeshHosts } from '../../src/client/mesh-hosts.ts'
import { TimerWheel } from '../../src/client/timer-wheel.ts'
import { UpstreamSecurity } from '../../src/client/upstream-tls.ts'
import { ErrorRateBreaker, type ErrorRateBreakerOptions } from '../../src/policies/error-rate-breaker.ts'
import type { TokenRetryBudgetOptions } from '../../src/policies/retry-budget.ts'
import { type Clock, silentLogger, systemClock } from '../../src/runtime.ts'
import { FakeConfigSource } from './fake-config-source.ts'
import { RecordingTelemetry } from './recording-telemetry.ts'

/** The data path over a fake source and recording telemetry. */
export interface TestMesh {
  readonly source: FakeConfigSource
  readonly telemetry: RecordingTelemetry
  readonly plane: DataPlane
  readonly dispatcher: MeshDispatcher
}

export interface TestMeshOptions {
  readonly hosts?: HostRule
  readonly outboundPolicy?: OutboundPolicy
  readonly previous?: Dispatcher
  readonly clock?: Clock
  readonly random?: () => number
  readonly lookup?: DnsLookup
  readonly maxOrigins?: number
  readonly negativeTtlMs?: number
  readonly maxPending?: number
  readonly environment?: Partial<ExchangeEnvironment>
  readonly loads?: LoadStats
  readonly onEvent?: (event: EjectionEvent) => void
  readonly errorRateBreaker?: ErrorRateBreakerOptions
  readonly retryBudget?: TokenRetryBudgetOptions
}

/** Builds it and closes it with the test. Every single-label host is the mesh's unless `hosts` says otherwise. */
export function makeMesh(t: TestContext, options: TestMeshOptions = {}): TestMesh {
  const { clock = systemClock, random = Math.random, lookup = systemLookup } = options
  const runtime = { clock, random, logger: silentLogger }
  const source = new FakeConfigSource()
  const telemetry = new RecordingTelemetry()
  const wheel = new TimerWheel(clock)
  const plane = new DataPlane({
    source,
    logger: silentLogger,
    clusters: new ClusterManager({
      runtime,
      lookup,
      security: new UpstreamSecurity(clock),
      ...(options.loads === undefined ? undefined : { loads: options.loads }),
      ...(options.onEvent === undefined ? undefined : { onEvent: options.onEvent }),
      ...(options.errorRateBreaker === undefined
        ? undefined
        : { errorRateBreaker: () => new ErrorRateBreaker(clock, options.errorRateBreaker) }),
      ...(options.retryBudget === undefined ? undefined : { retryBudget: options.retryBudget }),
    }),
    environment: {
      clock,
      random,
      wheel,
      telemetry,
      localReplies: false,
      maxReplayBytes: 65_536,
      maxDiscardBytes: 16_384,
      idleTimeoutMs: 0,
      configTimeoutMs: 5000,
      ...options.environment,
    },
    ...(options.maxPending === undefined ? undefined : { maxPending: options.maxPending }),
  })
  const previous = options.previous ?? new Agent()
  const dispatcher = new MeshDispatcher({
    plane,
    hosts: new MeshHosts(options.hosts ?? { kind: 'shape' }),
    outboundPolicy: options.outboundPolicy ?? 'allow-any',
    previous,
    close: () => plane.close(),
    ...(options.maxOrigins === undefined ? undefined : { maxOrigins: options.maxOrigins }),
    ...(options.negativeTtlMs === undefined ? undefined : { negativeTtlMs: options.negativeTtlMs }),
  })
  t.after(async () => {
    await dispatcher.close()
    if (options.previous === undefined) await previous.destroy()
    wheel.close()
  })
  return { source, telemetry, plane, dispatcher }
}
