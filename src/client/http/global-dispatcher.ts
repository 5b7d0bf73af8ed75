import { type Dispatcher, getGlobalDispatcher } from 'undici'

export type { Dispatcher }

/** The dispatcher that calls would take without the mesh: what is the global one as the mesh is made. */
export function currentDispatcher(): Dispatcher {
  return getGlobalDispatcher()
}
