import { createRequire } from 'node:module'
import type * as Undici from 'undici'

const require = createRequire(import.meta.url)

/** What connections are made with. */
interface UndiciConnections {
  readonly Pool: typeof Undici.Pool
  readonly buildConnector: typeof Undici.buildConnector
  readonly errors: typeof Undici.errors
}

/**
 * Loads a part of undici: its index also brings its fetch, WebSocket, mocks and caches, which are more than half of its 26 MB and of the time
 * it takes. The parts are the very modules that the index loads, so an application's own undici is the same one.
 *
 * @param pick finds it in the index of a release that has moved it, or hides it behind an `exports` map
 */
function load<T>(path: string, pick: (undici: typeof Undici) => T): T {
  try {
    return require(`undici/lib/${path}`)
  } catch {
    return pick(require('undici'))
  }
}

/** The class that every dispatcher extends. */
export const BaseDispatcher = load('dispatcher/dispatcher.js', undici => undici.Dispatcher)

/** `mesh.dispatcher.request()` and the like, of which undici's index makes methods too. */
const apiNames = ['request', 'stream', 'pipeline', 'upgrade', 'connect'] as const

for (const name of apiNames) {
  if (name in BaseDispatcher.prototype) continue
  const value = function (this: Undici.Dispatcher, ...args: never[]): unknown {
    Object.assign(BaseDispatcher.prototype, load<object>('api/index.js', pickApi))
    return Reflect.apply(this[name], this, args)
  }
  Object.defineProperty(BaseDispatcher.prototype, name, { value, configurable: true, enumerable: true, writable: true })
}

function pickApi({ Dispatcher: { prototype } }: typeof Undici): object {
  return Object.fromEntries(apiNames.map(name => [name, prototype[name]]))
}

let connections: UndiciConnections | undefined

/** Loads them with the first connection: a process that calls nobody over HTTP needs none of it. */
export function undiciConnections(): UndiciConnections {
  connections ??= {
    Pool: load('dispatcher/pool.js', undici => undici.Pool),
    buildConnector: load('core/connect.js', undici => undici.buildConnector),
    errors: load('core/errors.js', undici => undici.errors),
  }
  return connections
}

type Globals = Pick<typeof Undici, 'getGlobalDispatcher' | 'setGlobalDispatcher'>

/** Where undici keeps the dispatcher of calls that name none. To load it makes one, if there is none yet. */
export function undiciGlobals(): Globals {
  return load<Globals>('global.js', undici => undici)
}

/** Whether there is such a dispatcher, of any release of undici: its key has a number at its end. */
export function hasGlobalDispatcher(): boolean {
  const isKey = (key: symbol) => key.description?.startsWith('undici.globalDispatcher.') === true
  return Object.getOwnPropertySymbols(globalThis).some(isKey)
}

/** Connects to any host, with connections of its own. */
export function newAgent(): Undici.Agent {
  const Agent = load('dispatcher/agent.js', undici => undici.Agent)
  return new Agent()
}

/** The only `FormData` that undici takes as a body: its own. */
export function undiciFormData(): typeof Undici.FormData {
  return require('undici').FormData
}
