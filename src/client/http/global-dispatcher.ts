import type { Dispatcher } from 'undici'
import { getGlobalDispatcher, setGlobalDispatcher } from './undici.ts'

export type { Dispatcher }

/** The dispatcher that calls would take without the mesh: what is the global one as the mesh is made. */
export function currentDispatcher(): Dispatcher {
  return getGlobalDispatcher()
}

/** Makes `dispatcher` the one that every call of this process takes, those of the built-in `fetch` included. */
export function setDispatcher(dispatcher: Dispatcher): void {
  setGlobalDispatcher(dispatcher)
}
