import { readRequestHeader } from '../client/route-matcher.ts'
import type { RouteRequest } from '../client/route-request.ts'
import { withoutQuery } from '../policies/path-rewrite.ts'
import type { RbacRequest } from '../policies/rbac/rbac-engine.ts'
import type { InboundConnection } from './inbound-connection.ts'

/** Something an operator wants to know of a request that was let in. */
export interface RequestNote {
  readonly kind: 'shadow' | 'audit'
  readonly filter: string
  readonly allowed: boolean
  readonly policy: string
}

/** What a request is judged by, and its path as the application will see it. */
export class RequestView implements RouteRequest, RbacRequest {
  readonly method: string
  /** Canonical, with its query. */
  readonly path: string
  readonly authority: string
  readonly scheme: string
  readonly isGrpc: boolean
  readonly connection: InboundConnection
  /** Names and values in turn; pseudo headers are left out. */
  readonly rawHeaders: readonly string[]
  /** {@link path} without its query. */
  readonly pathname: string
  readonly notes: RequestNote[]
  #metadata: Map<string, unknown> | null

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
    this.pathname = withoutQuery(path)
    this.notes = []
    this.#metadata = null
  }

  get principals(): readonly string[] | undefined {
    return this.connection.peer?.principals
  }

  get sourceIp(): Uint8Array | null {
    return this.connection.sourceIp
  }

  get destinationIp(): Uint8Array | null {
    return this.connection.destinationIp
  }

  get destinationPort(): number {
    return this.connection.facts.destinationPort
  }

  get serverName(): string {
    return this.connection.serverName
  }

  headerValues(name: string): string | readonly string[] | undefined {
    return readRequestHeader(this, name)
  }

  metadata(filter: string): unknown {
    return this.#metadata?.get(filter)
  }

  /** What would have become of it under rules that are only tried. */
  noteShadow(filter: string, allowed: boolean, policy: string): void {
    this.notes.push({ kind: 'shadow', filter, allowed, policy })
  }

  /** A policy asks that it be told of. */
  noteAudit(filter: string, policy: string): void {
    this.notes.push({ kind: 'audit', filter, allowed: true, policy })
  }

  /** Notes for later filters what one has found out. */
  setMetadata(filter: string, value: unknown): void {
    this.#metadata ??= new Map()
    this.#metadata.set(filter, value)
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
