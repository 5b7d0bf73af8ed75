import type { RouteRequest } from '../client/route-request.ts'
import type { InboundConnection } from './inbound-connection.ts'

/** What a request is judged by, and its path as the application will see it. */
export class RequestView implements RouteRequest {
  readonly method: string
  /** Canonical, with its query. */
  readonly path: string
  readonly authority: string
  readonly scheme: string
  readonly isGrpc: boolean
  readonly connection: InboundConnection
  /** Names and values in turn; pseudo headers are left out. */
  readonly rawHeaders: readonly string[]

  constructor(
    method: string,
    path: string,
    authority: string,
    scheme: string,
    isGrpc: boolean,
    connection: InboundConnection,
    rawHeaders: readonly string[],
  ) {
    this.method = method
    this.path = path
    this.authority = authority
    this.scheme = scheme
    this.isGrpc = isGrpc
    this.connection = connection
    this.rawHeaders = rawHeaders
  }

  /** Every value that came, in order. */
  header(name: string): string | readonly string[] | undefined {
    let found: string | string[] | undefined
    const raw = this.rawHeaders
    for (let at = 0; at < raw.length; at += 2) {
      const key = raw[at] ?? ''
      if (key.length !== name.length || (key !== name && key.toLowerCase() !== name)) continue
      const value = raw[at + 1] ?? ''
      if (found === undefined) found = value
      else if (typeof found === 'string') found = [found, value]
      else found.push(value)
    }
    return found
  }
}
