import type { InboundAttributes, InboundPeer, JwtClaims, SocketEndpoint } from '../policies/rbac/inbound-attributes.ts'
import type { RequestView } from './request-view.ts'

/** A request in the form in which authorization reads it. Few rules ask for more than a part of it, so that each is made when it is asked for. */
export class RequestAttributes implements InboundAttributes {
  readonly #view: RequestView
  #headers: readonly string[] | null

  constructor(view: RequestView) {
    this.#view = view
    this.#headers = null
  }

  /** They have changed. */
  forgetHeaders(): void {
    this.#headers = null
  }

  get method(): string {
    return this.#view.method
  }

  get path(): string {
    return this.#view.pathname
  }

  get query(): string {
    const { path, pathname } = this.#view
    return path.length === pathname.length ? '' : path.slice(pathname.length)
  }

  get authority(): string {
    return this.#view.authority
  }

  get headers(): readonly string[] {
    this.#headers ??= this.#view.rawHeaders.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))
    return this.#headers
  }

  get peer(): InboundPeer {
    return this.#view.connection.source
  }

  get destination(): SocketEndpoint {
    return this.#view.connection.destination
  }

  get requestedServerName(): string {
    return this.#view.connection.serverName
  }

  get claims(): JwtClaims | undefined {
    return this.#view.claims
  }

  get metadata(): ReadonlyMap<string, unknown> | undefined {
    return this.#view.metadata
  }
}
