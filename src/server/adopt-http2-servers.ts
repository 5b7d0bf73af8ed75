import { AsyncLocalStorage } from 'node:async_hooks'
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { IncomingMessage, ServerResponse } from '../node-http.ts'
import type { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import { isGrpc, serveStream } from './grpc-inbound.ts'
import { type Inbound, rethrow } from './inbound.ts'

/** What {@link adoptHttp2Servers} is given. */
export interface Http2Adoption {
  readonly telemetry: MeshTelemetry
  /** Called when a server begins to listen that serves streams or requests. Default: whoever was called until now. */
  readonly onListening?: (server: Http2Server) => void
}

const bindings = new AsyncLocalStorage<(server: Http2Server) => void>()

/** Runs `bind`, and tells `onListening` of the servers that begin to listen for it, which no other hook is told of. */
export function claimServers<Result>(onListening: (server: Http2Server) => void, bind: () => Result): Result {
  return bindings.run(onListening, bind)
}

const followed = new WeakMap<Http2Server, Inbound>()

/** From now on whatever `server` serves goes through `inbound`, and not gRPC calls alone. */
export function followServer(server: Http2Server, inbound: Inbound): void {
  hookServers()
  followed.set(server, inbound)
}

let current: Http2Adoption | null = null

/** Makes every gRPC call that this process serves, by whatever server, one of the mesh; the latest one, where there are several. */
export function adoptHttp2Servers(adoption: Http2Adoption): void {
  hookServers()
  current = { ...current, ...adoption }
}

let isHooked = false

/** Loads `node:http2`. */
function hookServers(): void {
  if (isHooked) return
  isHooked = true
  for (const prototype of http2Prototypes()) {
    const { emit } = prototype
    prototype.emit = function (this: Http2Server, event: string | symbol, ...args: unknown[]): boolean {
      const goOn = () => Reflect.apply(emit, this, [event, ...args])
      switch (event) {
        case 'listening':
          noteListening(this)
          return goOn()
        case 'stream':
          return onStream(this, args, goOn)
        case 'request':
        case 'checkContinue':
          return onRequest(this, args, goOn)
        default:
          return goOn()
      }
    }
  }
}

function noteListening(server: Http2Server): void {
  const claim = bindings.getStore()
  if (claim !== undefined) claim(server)
  else if (server.listenerCount('stream') + server.listenerCount('request') > 0) current?.onListening?.(server)
}

function onStream(server: Http2Server, args: readonly unknown[], goOn: () => boolean): boolean {
  const [stream, headers] = args as [ServerHttp2Stream, IncomingHttpHeaders]
  const telemetry = followed.get(server)?.telemetry ?? (isGrpc(headers) ? current?.telemetry : undefined)
  if (telemetry === undefined) return goOn()
  let wasHeard = true
  serveStream(telemetry, stream, headers, () => {
    wasHeard = goOn()
  })
  return wasHeard
}

/** A server with `allowHTTP1` takes requests of HTTP/1. What the compatibility API makes of a stream has been served as a stream. */
function onRequest(server: Http2Server, [request, response]: readonly unknown[], goOn: () => boolean): boolean {
  const inbound = followed.get(server)
  const isHttp1 = request instanceof IncomingMessage && response instanceof ServerResponse
  if (inbound === undefined || !isHttp1) return goOn()
  let wasHeard = true
  const handle = () => {
    wasHeard = goOn()
  }
  inbound.serve(request, response, handle, rethrow)
  return wasHeard
}

/** The prototypes of the two classes of server that `node:http2` has and does not name. */
function http2Prototypes(): readonly Http2Server[] {
  // Loaded here, since most processes never serve HTTP/2.
  const { createServer, createSecureServer } = process.getBuiltinModule('node:http2')
  return [createServer(), createSecureServer()].map(server => Object.getPrototypeOf(server))
}
