import type { RouteRequest } from '../client/route-request.ts'
import { withoutQuery } from '../policies/path-rewrite.ts'
import type { InboundAttributes, JwtClaims } from '../policies/rbac/inbound-attributes.ts'
import type { InboundConnection } from './inbound-connection.ts'
import { RequestAttributes } from './request-attributes.ts'
import type { RequestStream } from './request-stream.ts'

/** Something an operator wants to know of a request that was let in. */
export interface RequestNote {
  readonly kind: 'shadow' | 'audit' | 'audit-failure' | 'failed-open'
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
  /** Canonical, with its query, which filters may change. */
  path: string
  readonly authority: string
  readonly scheme: string
  readonly isGrpc: boolean
  readonly connection: InboundConnection
  /** Names and values in turn; pseudo headers are left out. */
  readonly rawHeaders: readonly string[]
  /** The request as its protocol has it; `undefined`: it is to become something else than HTTP, or no filter asks for it. */
  readonly stream: RequestStream | undefined
  /** Rules that later filters go by failed: what they would have left is not known. */
  hasLostMetadata: boolean
  readonly #edit: HeaderEdit
  /** {@link path} without its query. */
  readonly pathname: string
  /** Of a token that a filter has verified. */
  claims: JwtClaims | undefined
  #metadata: Map<string, Readonly<Record<string, unknown>>> | null
  #notes: RequestNote[] | null
  #attributes: RequestAttributes | null

  constructor(
    method: string,
    path: string,
    authority: string,
    scheme: string,
    isGrpc: boolean,
    connection: InboundConnection,
    rawHeaders: readonly string[],
    edit: HeaderEdit,
    stream?: RequestStream,
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
    this.stream = stream
    this.hasLostMetadata = false
    this.claims = undefined
    this.#metadata = null
    this.#notes = null
    this.#attributes = null
  }

  /** What the application, and later filters, see from now on. */
  setHeader(name: string, value: string): void {
    this.#attributes?.forgetHeaders()
    this.#edit(name, value)
  }

  removeHeader(name: string): void {
    this.#attributes?.forgetHeaders()
    this.#edit(name, undefined)
  }

  /** Puts another query in the place of its own. */
  setPath(path: string): void {
    this.path = path
  }

  /** What a filter has left for later ones, by its name as Envoy has it (dynamic metadata). */
  metadataOf(filter: string): Readonly<Record<string, unknown>> | undefined {
    if (filter === 'envoy.filters.http.jwt_authn') return this.claims && { payload: this.claims.raw }
    return this.#metadata?.get(filter)
  }

  /** Leaves something beside what is there. */
  addMetadata(filter: string, fields: Readonly<Record<string, unknown>>): void {
    this.#metadata ??= new Map()
    this.#metadata.set(filter, { ...this.#metadata.get(filter), ...fields })
  }

  /** What filters have left, by their names; `undefined`: none has. */
  get metadata(): ReadonlyMap<string, unknown> | undefined {
    return this.#metadata ?? undefined
  }

  /** In the form in which authorization reads it: always as it is now. */
  get attributes(): InboundAttributes {
    this.#attributes ??= new RequestAttributes(this)
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
}
