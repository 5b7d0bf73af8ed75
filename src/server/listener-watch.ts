import type { ConfigSource, InboundState, MeshConfig } from '../discovery/model/mesh-config.ts'
import type { Logger } from '../runtime.ts'
import { CompiledListener } from './compiled-listener.ts'
import type { FilterFactories } from './request-filters.ts'

/** What becomes of the connections to a server. */
export type Serving =
  /** They wait: nothing is known yet. */
  | { readonly kind: 'pending' }
  /** They are served as without a mesh. */
  | { readonly kind: 'open' }
  | { readonly kind: 'ready'; readonly listener: CompiledListener }
  /** They are closed: not serving (gRFC A36). */
  | { readonly kind: 'refused'; readonly message: string }

/** What {@link ListenerWatch} is given. */
export interface ListenerWatchOptions {
  readonly source: ConfigSource
  readonly logger: Logger
  /** A server without a listener does not serve. Else it serves as without a mesh, until it had one. */
  readonly isRequired: boolean
  readonly factories: FilterFactories
  /** Called after each change of {@link ListenerWatch.serving}, and not for the first. */
  onChange(): void
}

/** Follows the listener of a server (gRFC A36). */
export class ListenerWatch {
  serving: Serving
  readonly #address: string
  readonly #name: string
  readonly #options: ListenerWatchOptions
  readonly #unsubscribe: () => void
  #state: InboundState | undefined
  #hadListener = false

  /**
   * @param address where the server is bound: `IP:port`, `[IP]:port`
   * @returns `null` where servers are not configured
   */
  static start(address: string, options: ListenerWatchOptions): ListenerWatch | null {
    const name = options.source.inboundName(address)
    return name === undefined ? null : new ListenerWatch(address, name, options)
  }

  private constructor(address: string, name: string, options: ListenerWatchOptions) {
    const { source } = options
    this.serving = { kind: 'pending' }
    this.#address = address
    this.#name = name
    this.#options = options
    source.watchInbound(name)
    this.#use(source.current)
    this.#unsubscribe = source.onChange(config => {
      const before = this.serving
      this.#use(config)
      if (this.serving !== before) options.onChange()
    })
  }

  close(): void {
    this.#unsubscribe()
    this.#options.source.unwatchInbound(this.#name)
  }

  #use({ inbound }: MeshConfig): void {
    const state = inbound.get(this.#name)
    if (state === undefined || state === this.#state) return
    this.#state = state
    this.serving = this.#servingOf(state)
    if (this.serving.kind === 'refused')
      this.#options.logger.error(`server ${this.#address} is not serving: ${this.serving.message}`, { listener: this.#name })
  }

  #servingOf(state: InboundState): Serving {
    if (state.kind === 'failed') {
      const isOpen = !this.#options.isRequired && !this.#hadListener && state.reason !== 'invalid'
      return isOpen ? { kind: 'open' } : { kind: 'refused', message: state.message }
    }
    const { listener, routeConfigurations } = state
    if (!isFor(listener.address, this.#address)) {
      const { address = '', port = 0 } = listener.address ?? {}
      return { kind: 'refused', message: `the listener is for ${address}:${port}` }
    }
    this.#hadListener = true
    return { kind: 'ready', listener: new CompiledListener(listener, routeConfigurations, this.#options.factories) }
  }
}

/** A listener says for which address it is, and a server that is bound elsewhere must not take it (gRFC A36). */
function isFor(expected: { readonly address: string; readonly port: number } | undefined, actual: string): boolean {
  if (expected === undefined) return true
  const at = actual.lastIndexOf(':')
  const host = actual.slice(0, at).replace(/^\[|\]$/g, '')
  return expected.port === Number(actual.slice(at + 1)) && (expected.address === host || isAny(expected.address))
}

/** It is bound to the wildcard, and with it everywhere. */
function isAny(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
