import type { Agent, Dispatcher } from 'undici'
import { BaseDispatcher, hasGlobalDispatcher, newAgent, undiciGlobals } from './undici.ts'

export type { Dispatcher }

/** The dispatcher that calls would take without the mesh: what is the global one as the mesh is made. */
export function currentDispatcher(): Dispatcher {
  return hasGlobalDispatcher() ? undiciGlobals().getGlobalDispatcher() : new DefaultDispatcher()
}

/** Makes `dispatcher` the one that every call of this process takes, those of the built-in `fetch` included. */
export function setDispatcher(dispatcher: Dispatcher): void {
  undiciGlobals().setGlobalDispatcher(dispatcher)
}

/** What undici would use where nobody has set a dispatcher, made when it is needed. */
class DefaultDispatcher extends BaseDispatcher {
  #agent: Agent | undefined

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.#agent ??= newAgent()
    return this.#agent.dispatch(options, handler)
  }

  override async close(): Promise<void> {
    await this.#agent?.close()
  }

  override async destroy(): Promise<void> {
    await this.#agent?.destroy()
  }
}
