import type { HttpCheck, HttpCheckAnswer } from '../policies/ext-authz/http-check.ts'
import type { AuthorizerCalls } from '../server/authorizer-calls.ts'
import type { DataPlane } from './data-plane.ts'
import { UnaryCaller } from './grpc/unary-caller.ts'
import { ClusterDispatcher } from './http/cluster-dispatcher.ts'
import type { Target } from './target.ts'

/** Calls clusters by their names, past every route. */
export class ClusterCalls implements AuthorizerCalls {
  readonly #plane: DataPlane
  readonly #targets = new Map<string, Target>()
  readonly #dispatchers = new Map<string, ClusterDispatcher>()
  readonly #callers = new Map<string, UnaryCaller>()

  constructor(plane: DataPlane) {
    this.#plane = plane
  }

  unary(
    cluster: string,
    authority: string,
    path: string,
    message: Uint8Array,
    metadata: readonly string[],
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const key = `${cluster} ${authority}`
    let caller = this.#callers.get(key)
    if (caller === undefined) {
      caller = new UnaryCaller(this.#plane, this.#target(cluster), authority)
      this.#callers.set(key, caller)
    }
    return caller.call(path, message, metadata, signal)
  }

  http(cluster: string, check: HttpCheck, signal: AbortSignal): Promise<HttpCheckAnswer> {
    let dispatcher = this.#dispatchers.get(cluster)
    if (dispatcher === undefined) {
      dispatcher = new ClusterDispatcher(this.#plane.environment, this.#target(cluster))
      this.#dispatchers.set(cluster, dispatcher)
    }
    return dispatcher.ask(check, signal)
  }

  #target(cluster: string): Target {
    let target = this.#targets.get(cluster)
    if (target === undefined) {
      target = this.#plane.targetOfCluster(cluster)
      this.#targets.set(cluster, target)
    }
    return target
  }
}
