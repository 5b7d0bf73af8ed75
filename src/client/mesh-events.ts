import type { MeshConfig } from '../discovery/model/mesh-config.ts'
import type { XdsConfigSourceEvents } from '../discovery/xds-config-source.ts'

/** Outlier detection took an endpoint out of its cluster, or let it back in. */
export interface EjectionEvent {
  readonly kind: 'eject' | 'uneject'
  readonly cluster: string
  /** `address:port`. */
  readonly endpoint: string
  /** What led to an ejection, in the words of Envoy's ejection log; empty for an unejection. */
  readonly reason: string
}

/** The active health checks of an endpoint began to fail, or to succeed again. */
export interface HealthEvent {
  readonly cluster: string
  /** `address:port`. */
  readonly endpoint: string
  readonly isHealthy: boolean
  /** What the check found. */
  readonly reason: string
}

/** What a mesh tells of: changes of state, never single calls. */
export interface MeshEventMap {
  /** A configuration is in force. */
  readonly config: MeshConfig
  readonly eject: EjectionEvent
  readonly uneject: EjectionEvent
  readonly health: HealthEvent
  readonly connected: XdsConfigSourceEvents['connected']
  readonly disconnected: XdsConfigSourceEvents['disconnected']
  readonly nack: XdsConfigSourceEvents['nack']
}

export type MeshEventName = keyof MeshEventMap
export type MeshEventListener<E extends MeshEventName> = (event: MeshEventMap[E]) => void

type Listeners = { readonly [E in MeshEventName]: Set<MeshEventListener<E>> }

/** Typed listeners. One that throws does not keep the others from hearing. */
export class MeshEvents {
  readonly #listeners: Listeners = {
    config: new Set(),
    eject: new Set(),
    uneject: new Set(),
    health: new Set(),
    connected: new Set(),
    disconnected: new Set(),
    nack: new Set(),
  }

  /** Returns what ends the subscription. */
  on<E extends MeshEventName>(event: E, listener: MeshEventListener<E>): () => void {
    const listeners: Set<MeshEventListener<E>> = this.#listeners[event]
    const own: MeshEventListener<E> = value => listener(value)
    listeners.add(own)
    return () => {
      listeners.delete(own)
    }
  }

  emit<E extends MeshEventName>(event: E, value: MeshEventMap[E]): void {
    const listeners: Set<MeshEventListener<E>> = this.#listeners[event]
    for (const listener of [...listeners]) {
      try {
        listener(value)
      } catch (error) {
        // The application's own mistake must not stop the configuration from being put in force.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
