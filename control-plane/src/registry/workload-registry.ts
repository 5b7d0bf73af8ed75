import { isDeepStrictEqual } from 'node:util'
import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { Clock, Logger, Timer } from '../runtime.ts'
import { readRegistration } from './read-registration.ts'
import type { RegisteredWorkload } from './registered-workload.ts'

/** What stands for the stream a registration came by. */
export type StreamToken = object

/** The registrations of one process, as they are written down for the next start. */
export interface StoredRegistration {
  /** `node.id` and the client library: two xDS clients of one process do not withdraw each other's services. */
  readonly owner: string
  readonly workloads: readonly RegisteredWorkload[]
}

/** Options of {@link WorkloadRegistry}. */
export interface WorkloadRegistryOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** How long a workload whose stream is gone stays. Default 5,000 ms. */
  readonly graceMs?: number
  /**
   * How long a workload known from before the start stays without having come back. Default 150,000 ms: the longest pause of a client
   * between two attempts to connect is 120 s and 20 %.
   */
  readonly restartGraceMs?: number
  /** What was there before the start. */
  readonly stored?: readonly StoredRegistration[]
  /** Called after each change with everything that is there. */
  onChange?(workloads: readonly RegisteredWorkload[]): void
}

interface Owner {
  workloads: readonly RegisteredWorkload[]
  /** Open streams, the newest last: it is the one that counts. */
  readonly streams: { readonly token: StreamToken; readonly workloads: readonly RegisteredWorkload[] }[]
  expiry: Timer | undefined
}

/**
 * The workloads that are there, as their own streams say. The newest stream of a process speaks for it: one without endpoints
 * withdraws what an older one registered, at once; an ended one does so only after a grace period, in which the process may come back
 * unnoticed.
 */
export class WorkloadRegistry {
  readonly #options: WorkloadRegistryOptions
  readonly #graceMs: number
  readonly #owners = new Map<string, Owner>()
  readonly #ownerOf = new Map<StreamToken, string>()

  constructor(options: WorkloadRegistryOptions) {
    this.#options = options
    this.#graceMs = options.graceMs ?? 5000
    for (const { owner: key, workloads } of options.stored ?? []) {
      const owner: Owner = { workloads, streams: [], expiry: undefined }
      this.#owners.set(key, owner)
      this.#expire(key, owner, options.restartGraceMs ?? 150_000)
    }
  }

  /** Everything that is there now. */
  get workloads(): readonly RegisteredWorkload[] {
    return Array.from(this.#owners.values(), ({ workloads }) => workloads).flat()
  }

  /** The same by process, to be written down. */
  get stored(): readonly StoredRegistration[] {
    return Array.from(this.#owners, ([owner, { workloads }]) => ({ owner, workloads })).filter(
      ({ workloads }) => workloads.length > 0,
    )
  }

  /**
   * A stream opened: what its node offers counts from now on.
   *
   * @param identity SPIFFE ID of the client's certificate; `undefined` in plaintext
   */
  opened(token: StreamToken, node: Node | undefined, identity?: string): void {
    const { workloads, problems } = readRegistration(node, identity)
    const nodeId = node?.id ?? ''
    for (const problem of problems) this.#options.logger.warn('a registration was refused', { node: nodeId, problem })
    if (!nodeId) return
    const key = `${nodeId}\n${node?.userAgentName ?? ''}`
    let owner = this.#owners.get(key)
    if (!owner) {
      if (workloads.length === 0) return
      owner = { workloads: [], streams: [], expiry: undefined }
      this.#owners.set(key, owner)
    }
    owner.expiry?.cancel()
    owner.expiry = undefined
    owner.streams.push({ token, workloads })
    this.#ownerOf.set(token, key)
    this.#replace(owner, workloads)
  }

  /** A stream ended, for whatever reason. */
  closed(token: StreamToken): void {
    const key = this.#ownerOf.get(token)
    const owner = key === undefined ? undefined : this.#owners.get(key)
    this.#ownerOf.delete(token)
    if (key === undefined || !owner) return
    const index = owner.streams.findIndex(stream => stream.token === token)
    if (index >= 0) owner.streams.splice(index, 1)
    const newest = owner.streams.at(-1)
    if (newest) this.#replace(owner, newest.workloads)
    else if (owner.workloads.length === 0) this.#owners.delete(key)
    else this.#expire(key, owner, this.#graceMs)
  }

  /** Stops the timers. */
  close(): void {
    for (const { expiry } of this.#owners.values()) expiry?.cancel()
  }

  #expire(key: string, owner: Owner, afterMs: number): void {
    owner.expiry = this.#options.clock.setTimeout(() => {
      this.#owners.delete(key)
      this.#options.onChange?.(this.workloads)
    }, afterMs)
  }

  #replace(owner: Owner, workloads: readonly RegisteredWorkload[]): void {
    if (isDeepStrictEqual(owner.workloads, workloads)) return
    owner.workloads = workloads
    this.#options.onChange?.(this.workloads)
  }
}
