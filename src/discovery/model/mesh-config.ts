import type { ClusterConfig } from './cluster.ts'
import type { ClusterLoadAssignment } from './endpoint.ts'
import type { InboundListener } from './inbound-listener.ts'
import type { Listener } from './listener.ts'
import type { RouteConfiguration } from './route.ts'

/**
 * One consistent tree of everything the process has asked for (gRFC A74). Immutable; unchanged parts keep their identity from
 * one tree to the next, so a reader compares with `===`.
 */
export interface MeshConfig {
  /** By the authority that was watched. One that is still being discovered is absent. */
  readonly targets: ReadonlyMap<string, TargetState>
  /** Every cluster that a target's routes name. One that is still being discovered is absent. */
  readonly clusters: ReadonlyMap<string, ClusterState>
  /** By the name of the listener, for each server of this process. One that is still being discovered is absent. */
  readonly inbound: ReadonlyMap<string, InboundState>
}

/** What is known about a listener of a server. */
export type InboundState =
  | {
      readonly kind: 'ready'
      readonly listener: InboundListener
      /** The routes that its chains name, by name; what is wrong with one fails the requests that need it. */
      readonly routeConfigurations: ReadonlyMap<string, InboundRoutes>
    }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string }

/** What is known about a route configuration of a server. */
export type InboundRoutes =
  | { readonly kind: 'ready'; readonly routeConfiguration: RouteConfiguration }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string }

/** What is known about an authority. A failure here fails the authority alone. */
export type TargetState =
  | { readonly kind: 'ready'; readonly listener: Listener; readonly routeConfiguration: RouteConfiguration }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string }

/** What is known about a cluster. A failure here fails only the calls routed to it. */
export type ClusterState =
  | {
      readonly kind: 'ready'
      readonly config: ClusterConfig /** Empty for an aggregate. */
      readonly assignment: ClusterLoadAssignment
    }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string }

/** Why a resource cannot be used. */
export type FailureReason =
  /** The server says, or 15 s of its silence say, that there is none. */
  | 'does-not-exist'
  /** It was refused, and there is no earlier one. */
  | 'invalid'
  /** The control plane cannot be reached, and nothing is cached. */
  | 'unavailable'

/** Where configuration comes from: a control plane, or a file. */
export interface ConfigSource {
  /** The newest tree. */
  readonly current: MeshConfig
  /**
   * Asks for an authority (`host` or `host:port`, as in a Host header), or for one that an authority of the bootstrap knows
   * (`xds://authority/host`, gRFC A47). Idempotent.
   * It appears in `current.targets` once its listener, its routes and every cluster they name are resolved or failed.
   */
  watch(authority: string): void
  /** Forgets an authority. Idempotent. */
  unwatch(authority: string): void
  /**
   * The name of the listener of a server that is bound to `address` (`IP:port`, `[IP]:port`); `undefined`: servers are not configured from here,
   * and serve without.
   */
  inboundName(address: string): string | undefined
  /**
   * Asks for the listener of a server of this process. Idempotent. It appears in `current.inbound` once it and the routes that it names are
   * resolved or failed.
   */
  watchInbound(name: string): void
  /** Forgets it. Idempotent. */
  unwatchInbound(name: string): void
  /** Called after each change of `current`. Returns what ends the subscription. */
  onChange(listener: (config: MeshConfig) => void): () => void
  close(): Promise<void>
}

/** The tree of a process that has asked for nothing. */
export const emptyMeshConfig: MeshConfig = { targets: new Map(), clusters: new Map(), inbound: new Map() }
