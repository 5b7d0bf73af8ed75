import { FetchCall, type FetchDispatcher } from './fetch-call.ts'
import { createNodeFetch } from './node-fetch.ts'
import { plainRequest } from './plain-request.ts'
import { standInForPlatform } from './platform-classes.ts'

/**
 * A WHATWG fetch over a dispatcher, for the callers a fetch, in what they see and what the server sees, like Node's own, at a fraction
 * of its cost: no stream, no `Request`, no `Headers` and no signal is made unless somebody asks for one.
 *
 * Rejects with `TypeError('fetch failed')` whose `cause` is the dispatcher's error, or with the very `reason` of an aborted signal.
 *
 * @param dispatcher undici's, or the mesh's; must understand today's handlers
 */
export function createFetch(dispatcher: FetchDispatcher): typeof globalThis.fetch {
  const nodeFetch = createNodeFetch(dispatcher)
  return function fetch(input, init) {
    standInForPlatform()
    const request = plainRequest(input, init)
    if (request === null) return nodeFetch(input, init)
    return new Promise((resolve, reject) => new FetchCall(dispatcher, request, resolve, reject).start())
  }
}
