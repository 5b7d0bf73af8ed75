import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import type { ConfigSource } from '../discovery/model/mesh-config.ts'
import { IncomingMessage } from '../node-http.ts'
import type { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import { ConnectionGate, type GateEnvironment } from './connection-gate.ts'
import { markGated } from './gated-servers.ts'
import { serveStream } from './grpc-inbound.ts'
import { admit, afterVerdict, denySocket } from './http-admission.ts'
import { connectionOf } from './inbound-connection.ts'
import { ListenerWatch } from './listener-watch.ts'
import type { FilterFactories } from './request-filters.ts'
import type { RequestGate } from './request-gate.ts'
import { admitStream, denyStream } from './stream-admission.ts'

/** What the gates of a mesh share. */
export interface ServerGateEnvironment extends GateEnvironment {
  readonly source: ConfigSource
  readonly requests: RequestGate
  readonly factories: FilterFactories
  readonly telemetry: MeshTelemetry
  /** A server without a listener does not serve. Else it serves as without a mesh, until it had one. */
  readonly requiresListener: boolean
}

/**
 * Puts a gate before a server for as long as it listens, where its configuration source has listeners for servers. In place before the
 * first connection, since it is made when the server says that it listens.
 */
export class ServerGate {
  readonly #server: NetServer
  readonly #environment: ServerGateEnvironment
  readonly #emit: NetServer['emit']
  #watch: ListenerWatch | null = null
  #gate: ConnectionGate | null = null

  constructor(server: NetServer, environment: ServerGateEnvironment) {
    this.#server = server
    this.#environment = environment
    this.#emit = server.emit
    const self = this
    server.emit = function (this: NetServer, ...all: [event: string | symbol, ...args: unknown[]]): boolean {
      const [event] = all
      // Requests of HTTP/1 are judged where they are served.
      if (event !== 'request' && self.#gate !== null && self.#intercepts(self.#gate, event, all.slice(1))) return true
      const result = Reflect.apply(self.#emit, this, all)
      // Whoever registers the server has done so: the control plane is to know whose listener it is asked for.
      if (event === 'listening') self.#open()
      if (event === 'close') self.#close()
      return result
    }
    if (server.listening) this.#open()
  }

  /** What waits at the gate is let go. */
  endWaiting(): void {
    this.#gate?.close()
  }

  #open(): void {
    const bound = this.#server.address()
    if (this.#watch !== null || bound === null || typeof bound === 'string') return
    const { source, logger, requiresListener } = this.#environment
    const watch = ListenerWatch.start(textOf(bound), {
      source,
      logger,
      isRequired: requiresListener,
      factories: this.#environment.factories,
      onChange: () => this.#gate?.update(),
    })
    if (watch === null) return
    markGated(this.#server)
    this.#watch = watch
    this.#gate = new ConnectionGate(this.#server, this.#emit, watch, this.#environment)
  }

  #close(): void {
    this.#gate?.close()
    this.#watch?.close()
    this.#gate = null
    this.#watch = null
  }

  /** Whatever asks something of the application, and is no request of HTTP/1, is judged here. */
  #intercepts(gate: ConnectionGate, event: string | symbol, args: readonly unknown[]): boolean {
    switch (event) {
      case 'stream':
        return this.#interceptsStream(args)
      case 'upgrade':
      case 'connect':
      case 'checkExpectation':
        return args[0] instanceof IncomingMessage && this.#interceptsRequest(event, args[0], args)
      default:
        return gate.intercepts(event, args)
    }
  }

  #interceptsStream(args: readonly unknown[]): boolean {
    const [stream, headers, , rawHeaders] = args as [ServerHttp2Stream, IncomingHttpHeaders, number, string[]]
    const { requests, telemetry } = this.#environment
    const verdict = admitStream(requests, stream, headers, rawHeaders)
    if (verdict === null) return false
    // Nobody else listens yet, and a caller may end it in any way.
    stream.on('error', () => {})
    if (!(verdict instanceof Promise)) {
      serveStream(telemetry, stream, headers, () => denyStream(stream, verdict, headers))
      return true
    }
    void verdict.then(denial => {
      if (denial !== null) serveStream(telemetry, stream, headers, () => denyStream(stream, denial, headers))
      else if (!stream.destroyed) this.#goOn('stream', args)
    })
    return true
  }

  #interceptsRequest(event: string, request: InstanceType<typeof IncomingMessage>, args: readonly unknown[]): boolean {
    const verdict = admit(this.#environment.requests, request, null, connectionOf(request.socket))
    if (verdict === null) return false
    const socket: Socket = request.socket
    if (!(verdict instanceof Promise)) {
      denySocket(socket, verdict)
      return true
    }
    afterVerdict(socket, verdict, denial => {
      if (denial !== null) denySocket(socket, denial)
      else if (!socket.destroyed) this.#goOn(event, args)
    })
    return true
  }

  #goOn(event: string, args: readonly unknown[]): void {
    Reflect.apply(this.#emit, this.#server, [event, ...args])
  }
}

/** `IP:port`, `[IP]:port`. */
function textOf({ address, port }: AddressInfo): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
