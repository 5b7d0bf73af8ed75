import type { HttpConnectionManager } from '../discovery/model/listener.ts'
import { MeshError } from '../errors.ts'
import { CompiledFault } from '../policies/fault.ts'
import { CompiledHashPolicy } from '../policies/hash-policy.ts'
import { CompiledRetryPolicy } from '../policies/retry.ts'
import { CompiledStatefulSession } from '../policies/stateful-session.ts'
import { effectivePerTryTimeoutMs } from '../policies/timeout.ts'
import type { CallSeries, Telemetry } from '../telemetry/telemetry.ts'
import type { Cluster } from './cluster.ts'
import type { ClusterHandle, ClusterManager } from './cluster-manager.ts'
import type { ClusterTarget } from './cluster-target.ts'
import type { CompiledRoute, Forward } from './compiled-route.ts'
import type { Endpoint } from './endpoint.ts'
import { needsFinalizing } from './finalize-request.ts'
import { RouteMirror } from './mirror.ts'
import type { Router } from './router.ts'
import type { Target } from './target.ts'

export type MeshRouter = Router<RoutePlan, ClusterPlan>
export type MatchedRoute = CompiledRoute<RoutePlan, ClusterPlan>
export type ChosenCluster = ClusterTarget<RoutePlan, ClusterPlan>
export type MeshForward = Forward<RoutePlan, ClusterPlan>

/** Times of an exchange in milliseconds; 0 is off. */
export interface RouteTimeouts {
  /** From the end of the request to the end of the answer. */
  readonly timeoutMs: number
  /** Longest life of the whole exchange. */
  readonly maxDurationMs: number
  /** Longest silence; 0 leaves it to the environment, `Infinity` is for ever. */
  readonly idleTimeoutMs: number
}

/** What the data path must know of a route, worked out once. */
export class RoutePlan implements RouteTimeouts {
  readonly retry: CompiledRetryPolicy | null
  /** Route timeout; 0 is off. */
  readonly timeoutMs: number
  /** 0 is off. */
  readonly perTryTimeoutMs: number
  /** An attempt that is not answered within its time goes on beside the next one. */
  readonly isHedging: boolean
  /** Longest life of the whole exchange; 0 is off. */
  readonly maxDurationMs: number
  /** Longest silence; 0 leaves it to the transport. */
  readonly idleTimeoutMs: number
  readonly priority: 'default' | 'high'
  /** For clusters that balance by hash; `null`: their pick is at random. */
  readonly hashPolicy: CompiledHashPolicy | null
  /** The times of a gRPC call (gRFC A31): the route's timeout is not one of them, and a stream may be silent for as long as it likes. */
  readonly grpc: RouteTimeouts
  /** Where copies of requests go; `null`: nowhere. */
  readonly mirrors: readonly RouteMirror[] | null
  readonly sendsAttemptCount: boolean
  readonly answersAttemptCount: boolean

  constructor(route: MatchedRoute, listener: HttpConnectionManager, manager: ClusterManager) {
    const { action, virtualHost } = route
    const forward = action.kind === 'forward' ? action.forward : null
    this.retry = forward?.retryPolicy === undefined ? null : new CompiledRetryPolicy(forward.retryPolicy)
    const timeoutMs = forward?.config.timeoutMs ?? 0
    this.timeoutMs = timeoutMs
    this.perTryTimeoutMs = effectivePerTryTimeoutMs({ timeoutMs, perTryTimeoutMs: forward?.retryPolicy?.perTryTimeoutMs ?? 0 })
    this.isHedging = forward?.config.hedgeOnPerTryTimeout ?? false
    this.hashPolicy =
      forward === null || forward.config.hashPolicies.length === 0 ? null : new CompiledHashPolicy(forward.config.hashPolicies)
    this.maxDurationMs = forward?.config.maxStreamDuration?.maxStreamDurationMs ?? listener.maxStreamDurationMs ?? 0
    this.idleTimeoutMs = forward?.config.idleTimeoutMs ?? listener.streamIdleTimeoutMs ?? 0
    this.grpc = {
      timeoutMs: 0,
      maxDurationMs: forward?.config.maxStreamDuration?.grpcTimeoutHeaderMaxMs ?? this.maxDurationMs,
      idleTimeoutMs: Number.POSITIVE_INFINITY,
    }
    this.priority = forward?.config.priority ?? 'default'
    const mirrors = forward?.config.mirrors ?? []
    this.mirrors = mirrors.length === 0 ? null : mirrors.map(policy => new RouteMirror(policy, manager))
    this.sendsAttemptCount = virtualHost.includeRequestAttemptCount
    this.answersAttemptCount = virtualHost.includeAttemptCountInResponse
  }
}

/** What the data path must know of a cluster that a route can lead to. */
export class ClusterPlan {
  /** Path, host or headers differ from what the caller asked for. */
  readonly needsFinalizing: boolean
  /** Faults to inject into calls; `null`: none. */
  readonly fault: CompiledFault | null
  /** How callers come back to their endpoint; `null`: they do not. */
  readonly session: CompiledStatefulSession | null
  readonly #choice: ChosenCluster
  readonly #manager: ClusterManager
  readonly #telemetry: Telemetry
  /** A router may serve several authorities. */
  readonly #bound = new WeakMap<Target, { readonly cluster: Cluster; readonly series: CallSeries }>()
  #handle: ClusterHandle
  #series: CallSeries | null = null
  #boundTarget: Target | null = null
  #boundCluster: Cluster | null = null

  constructor(choice: ChosenCluster, listener: HttpConnectionManager, manager: ClusterManager, telemetry: Telemetry) {
    this.needsFinalizing = needsFinalizing(choice)
    this.fault = faultOf(choice, listener)
    this.session = sessionOf(choice, listener)
    this.#choice = choice
    this.#manager = manager
    this.#telemetry = telemetry
    this.#handle = manager.handle(choice.clusterName)
  }

  /**
   * The cluster as it is now, or `null` when there is none of that name.
   *
   * @param unreachable endpoints that could not be connected, which an aggregate passes over
   */
  cluster(unreachable: readonly Endpoint[] | null = null): Cluster | null {
    const { cluster } = this.#handle
    if (cluster !== null) return cluster.config.discovery.kind === 'aggregate' ? cluster.leaf(unreachable) : cluster
    // The name may have come since, under a handle of its own.
    this.#handle = this.#manager.handle(this.#choice.clusterName)
    return this.#handle.cluster?.leaf(unreachable) ?? null
  }

  /** Where calls of `target` to `cluster` by this route are counted. */
  series(target: Target, cluster: Cluster): CallSeries {
    if (this.#series !== null && target === this.#boundTarget && cluster === this.#boundCluster) return this.#series
    const bound = this.#bound.get(target)
    const series = bound?.cluster === cluster ? bound.series : this.#bind(target, cluster)
    this.#series = series
    this.#boundTarget = target
    this.#boundCluster = cluster
    return series
  }

  #bind(target: Target, cluster: Cluster): CallSeries {
    const { route } = this.#choice
    const series = this.#telemetry.bind({
      scheme: target.scheme,
      authority: target.host,
      virtualHost: route.virtualHost.name,
      routeName: route.name,
      urlTemplate: route.urlTemplate,
      clusterName: cluster.name,
      destination: cluster.config.destination,
      protocolVersion: cluster.config.http.protocol === 'http2' ? '2' : '1.1',
    })
    this.#bound.set(target, { cluster, series })
    return series
  }

  /** The error of a request while there is no cluster of that name. */
  missing(statusCode: number): MeshError {
    const { name, failure } = this.#handle
    const { route } = this.#choice
    const own = `Cluster ${JSON.stringify(name)}: `
    const reason = failure === '' ? 'not found' : failure.replaceAll(own, '')
    const message = `cluster ${name}, named by route ${route.name} of virtual host ${route.virtualHost.name}: ${reason}`
    return new MeshError('MESH_ERR_CLUSTER_NOT_FOUND', message, { flag: 'NC', statusCode, cluster: name })
  }
}

/** The fault filter of a listener, as the route has it; one that does nothing is none. */
function faultOf({ filterOverrides }: ChosenCluster, { filters }: HttpConnectionManager): CompiledFault | null {
  for (const { name, config } of filters) {
    const own = filterOverrides[name] ?? config
    if (own.kind === 'fault' && (own.fault.abort !== undefined || own.fault.delay !== undefined))
      return new CompiledFault(own.fault)
  }
  return null
}

/** The stateful session filter of a listener, as the route has it. */
function sessionOf({ filterOverrides }: ChosenCluster, { filters }: HttpConnectionManager): CompiledStatefulSession | null {
  for (const { name, config } of filters) {
    const own = filterOverrides[name] ?? config
    if (own.kind === 'stateful-session') return new CompiledStatefulSession(own.session)
  }
  return null
}
