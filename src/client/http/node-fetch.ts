import type { Dispatcher } from 'undici'
import type { FetchDispatcher } from './fetch-call.ts'
import { toDispatchHandler } from './legacy-handler.ts'

// Taken when this module is loaded, so that an application that replaces the global by mesh.fetch does not call itself.
const nodeFetch = globalThis.fetch

/**
 * Node's own fetch over `dispatcher`: the same words of the specification in another's code, for all that is too rare or too wrong to
 * be written a second time — `data:` and `blob:` URLs, forms, `Request` objects with a body, integrity, referrers, and every mistake.
 */
export function createNodeFetch(dispatcher: FetchDispatcher): typeof globalThis.fetch {
  const adapter = {
    dispatch: (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) =>
      dispatcher.dispatch(options, toDispatchHandler(handler)),
  }
  return (input, init) => nodeFetch(input, withDispatcher(init, adapter))
}

function withDispatcher(init: RequestInit | undefined, dispatcher: object): RequestInit {
  if (init === undefined || init === null) return { dispatcher } as RequestInit
  if (typeof init !== 'object' || ('dispatcher' in init && init.dispatcher !== undefined)) return init
  // Not a copy: an init may be a Request, whose members are getters of its prototype.
  return new Proxy(init, {
    get: (target, key) => (key === 'dispatcher' ? dispatcher : Reflect.get(target, key, target)),
    has: (target, key) => key === 'dispatcher' || Reflect.has(target, key),
  })
}
