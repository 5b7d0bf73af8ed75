import type { RouteRequest } from '../client/route-request.ts'
import { withoutQuery } from '../policies/path-rewrite.ts'
import type { InboundAttributes, JwtClaims } from '../policies/rbac/inbound-attributes.ts'
import type { InboundConnection } from './inbound-connection.ts'

/** Something an operator wants to know of a request that was let in. */
export interface RequestNote {
  readonly kind: 'shadow' | 'audit' | 'audit-failure'
  readonly filter: string
  readonly allowed: boolean
  /** Of a failure: what went wrong. */
  readonly policy: string | undefined
}

/** Replaces every header of a name in lower case, or takes it out. */
export type HeaderEdit = (name: string, value: string | undefined) => void

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
  readonly #edit: HeaderEdit
  /** {@link path} without its query. */
  readonly pathname: string
  /** Of a token that a filter has verified. */
  claims: JwtClaims | undefined
  #notes: RequestNote[] | null
  #attributes: InboundAttributes | null

  constructor(
    method: string,
    path: string,
    authority: string,
    scheme: string,
    isGrpc: boolean,
    connection: InboundConnection,
    rawHeaders: readonly string[],
    edit: HeaderEdit,
  ) {
    this.#edit = edit
    this.method = method
    this.path = path
    this.authority = authority
    this.scheme = scheme
    this.isGrpc = isGrpc
    this.connection = connection
    this.rawHeaders = rawHeaders
    this.pathname = withoutQuery(path)
    this.claims = undefined
    this.#notes = null
    this.#attributes = null
  }

  /** What the application, and later filters, see from now on. */
  setHeader(name: string, value: string): void {
    this.#attributes = null
    this.#edit(name, value)
  }

  removeHeader(name: string): void {
    this.#attributes = null
    this.#edit(name, undefined)
  }

  /** In the form in which authorization reads it; made when it is first asked for. */
  get attributes(): InboundAttributes {
    this.#attributes ??= this.#describe()
    return this.#attributes
  }

  /** What filters have noted. */
  get notes(): readonly RequestNote[] {
    return this.#notes ?? []
  }

  note(kind: RequestNote['kind'], filter: string, allowed: boolean, policy: string | undefined): void {
    this.#notes ??= []
    this.#notes.push({ kind, filter, allowed, policy })
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

  #describe(): InboundAttributes {
    const { facts, peer, serverName } = this.connection
    const { rawHeaders, pathname, path } = this
    return {
      method: this.method,
      path: pathname,
      query: path.length === pathname.length ? '' : path.slice(pathname.length),
      authority: this.authority,
      headers: rawHeaders.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text)),
      peer: { principal: peer?.principals[0], address: facts.sourceAddress, port: facts.sourcePort },
      destination: { address: facts.destinationAddress, port: facts.destinationPort },
      requestedServerName: serverName,
      claims: this.claims,
    }
  }
}
