import { createRequire } from 'node:module'
import type * as Undici from 'undici'

const require = createRequire(import.meta.url)

/** What the data path uses of undici. */
interface UndiciCore {
  readonly Dispatcher: typeof Undici.Dispatcher
  readonly Pool: typeof Undici.Pool
  readonly buildConnector: typeof Undici.buildConnector
  readonly errors: typeof Undici.errors
  readonly getGlobalDispatcher: typeof Undici.getGlobalDispatcher
  readonly setGlobalDispatcher: typeof Undici.setGlobalDispatcher
}

/**
 * Loads the parts one by one: undici's index also brings its fetch, WebSocket, mocks and caches, which are more than half of its 26 MB and of
 * the time it takes. They are the very modules that the index loads, so an application's own undici is the same one.
 */
function loadParts(): UndiciCore {
  const Dispatcher: typeof Undici.Dispatcher = require('undici/lib/dispatcher/dispatcher.js')
  // As the index does, so that `mesh.dispatcher.request()` and the like are there.
  Object.assign(Dispatcher.prototype, require('undici/lib/api/index.js'))
  return {
    Dispatcher,
    Pool: require('undici/lib/dispatcher/pool.js'),
    buildConnector: require('undici/lib/core/connect.js'),
    errors: require('undici/lib/core/errors.js'),
    ...require('undici/lib/global.js'),
  }
}

function load(): UndiciCore {
  try {
    return loadParts()
  } catch {
    // A release that has moved them, or hides them behind an `exports` map.
    return require('undici')
  }
}

const core = load()

/** The class that every dispatcher extends. */
export const BaseDispatcher = core.Dispatcher
export const { Pool, buildConnector, errors, getGlobalDispatcher, setGlobalDispatcher } = core

/** The only `FormData` that undici takes as a body: its own. */
export function undiciFormData(): typeof Undici.FormData {
  return require('undici').FormData
}
