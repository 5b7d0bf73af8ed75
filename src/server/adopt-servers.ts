import type { Server } from 'node:http'
import type { Http2Server } from 'node:http2'
import { Server as SecureServer } from 'node:https'
import { Server as NetServer } from 'node:net'
import { Server as HttpServer, IncomingMessage, ServerResponse } from '../node-http.ts'
import { adoptHttp2Servers } from './adopt-http2-servers.ts'
import { type Inbound, rethrow, wrappedEmits } from './inbound.ts'

/** What {@link adoptServers} is given. */
export interface Adoption {
  readonly inbound: Inbound
  /** Called when a server of the application begins to listen, each time. */
  onListening(server: Server): void
  /** The same of a server of HTTP/2, and of gRPC by it. */
  onListeningHttp2(server: Http2Server): void
}

type Emit = (this: Server, event: string | symbol, ...args: unknown[]) => boolean

/**
 * Makes every server of `node:http`, `node:https`, `node:http2` and grpc-js that begins to listen one of the mesh, whoever created it and when.
 * Servers that begin to listen inside {@link Adopted.except} are left alone.
 */
export function adoptServers(adoption: Adoption): Adopted {
  const adopted = new Adopted(adoption)
  adopted.wrap(HttpServer.prototype)
  adopted.wrap(SecureServer.prototype)
  adopted.awaitOthers(NetServer.prototype)
  return adopted
}

/** The hooks that {@link adoptServers} has put in place. */
export class Adopted {
  readonly #adoption: Adoption
  readonly #excepted = new WeakSet<Server>()
  #isExcepting = false

  constructor(adoption: Adoption) {
    this.#adoption = adoption
  }

  /** Servers that begin to listen while `run` runs are not the application's: an exporter's, for example. */
  except<Result>(run: () => Result): Result {
    this.#isExcepting = true
    try {
      return run()
    } finally {
      this.#isExcepting = false
    }
  }

  wrap(prototype: Server): void {
    const adopted = this
    const { emit, listen } = prototype
    const hooked: Emit = function (event, ...args) {
      return adopted.#emit(this, emit, event, args)
    }
    wrappedEmits.set(hooked, emit)
    prototype.emit = hooked
    prototype.listen = function (this: Server, ...args: unknown[]): Server {
      if (adopted.#isExcepting) adopted.#excepted.add(this)
      return Reflect.apply(listen, this, args)
    }
  }

  /** Servers of HTTP/2 inherit `listen`; they are hooked when the first of them, or of whatever else is no HTTP/1, begins to listen. */
  awaitOthers(prototype: NetServer): void {
    const { inbound, onListeningHttp2: onListening } = this.#adoption
    const { listen } = prototype
    prototype.listen = function (this: NetServer, ...args: unknown[]): NetServer {
      if (!(this instanceof HttpServer || this instanceof SecureServer))
        adoptHttp2Servers({ telemetry: inbound.telemetry, onListening })
      return Reflect.apply(listen, this, args)
    }
  }

  #emit(server: Server, emit: Server['emit'], event: string | symbol, args: readonly unknown[]): boolean {
    const goOn = () => Reflect.apply(emit, server, [event, ...args])
    if (event === 'listening') {
      if (!this.#excepted.has(server)) this.#adoption.onListening(server)
      return goOn()
    }
    if (event !== 'request' && event !== 'checkContinue') return goOn()
    const [request, response] = args
    const isHttp1 = request instanceof IncomingMessage && response instanceof ServerResponse
    if (!isHttp1 || this.#excepted.has(server)) return goOn()
    let wasHeard = true
    const handle = () => {
      wasHeard = goOn()
    }
    this.#adoption.inbound.serve(request, response, handle, rethrow)
    return wasHeard
  }
}
