import { type CheckAttributes, partialBodyHeader } from './check-attributes.ts'
import type { CheckDecision } from './check-decision.ts'
import type { HttpAuthorizer } from './ext-authz-config.ts'
import { type HeaderChange, type HeaderChangeAction, isFixed } from './header-change.ts'
import { selectClientHeaders, selectHeaders } from './header-selection.ts'

/** A request to an authorizer over HTTP. */
export interface HttpCheck {
  readonly method: string
  readonly path: string
  readonly host: string
  /** Name, value, name, value; without `Host` and what frames a message. */
  readonly headers: readonly string[]
  readonly body: Uint8Array | undefined
}

/** The answer to one. */
export interface HttpCheckAnswer {
  readonly status: number
  /** Name, value, name, value. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** Names the headers of the request that are to be taken out, with commas between. */
const removalHeader = 'x-envoy-auth-headers-to-remove'

/** Asks over HTTP as Envoy does: with the request's own method, path and host, and with the headers that are to be told. */
export class HttpCheckDialect {
  readonly #authorizer: HttpAuthorizer
  readonly #isForUpstream: (name: string) => boolean
  readonly #isForUpstreamToo: (name: string) => boolean
  readonly #isForClient: (name: string) => boolean
  readonly #isForClientOnSuccess: (name: string) => boolean
  readonly #isMetadata: (name: string) => boolean

  /** @throws Error when a regex is none */
  constructor(authorizer: HttpAuthorizer) {
    this.#authorizer = authorizer
    this.#isForUpstream = selectHeaders(authorizer.upstreamHeaders)
    this.#isForUpstreamToo = selectHeaders(authorizer.upstreamHeadersToAppend)
    this.#isForClient = selectClientHeaders(authorizer.clientHeaders)
    this.#isForClientOnSuccess = selectHeaders(authorizer.clientHeadersOnSuccess)
    this.#isMetadata = selectHeaders(authorizer.metadataHeaders)
  }

  /** @param added names in lower case, in turn with values: they replace those of the request */
  request({ request: { method, path, host, headers, body } }: CheckAttributes, added: readonly string[]): HttpCheck {
    const replaced = new Set(added.filter((_, at) => at % 2 === 0))
    const told = pairs(headers).filter(([name]) => !isFixed(name) && !replaced.has(name))
    const own = body === undefined ? [] : [partialBodyHeader, String(body.isPartial)]
    return {
      method,
      path: this.#authorizer.pathPrefix + path,
      host,
      headers: [...told.flat(), ...own, ...added],
      body: body?.bytes,
    }
  }

  decision({ status, headers, body }: HttpCheckAnswer): CheckDecision {
    if (status >= 500) return { kind: 'failed', reason: `it answered ${status}` }
    const all = pairs(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
    if (status !== 200) {
      const shown = all.filter(([name]) => !isFixed(name) && this.#isForClient(name))
      return { kind: 'denied', status, headers: changes(shown, 'append-if-exists-or-add'), body, metadata: undefined }
    }
    const given = all.filter(([name]) => name !== removalHeader)
    const of = (isChosen: (name: string) => boolean) => given.filter(([name]) => isChosen(name))
    const left = of(this.#isMetadata)
    return {
      kind: 'allowed',
      requestHeaders: [
        ...changes(of(this.#isForUpstream), 'overwrite-if-exists-or-add'),
        ...changes(of(this.#isForUpstreamToo), 'append-if-exists-or-add'),
      ],
      requestHeadersToRemove: all
        .filter(([name]) => name === removalHeader)
        .flatMap(([, value]) => value.split(','))
        .map(name => name.trim().toLowerCase())
        .filter(name => name !== ''),
      responseHeaders: changes(of(this.#isForClientOnSuccess), 'append-if-exists-or-add'),
      queryToSet: [],
      queryToRemove: [],
      metadata: left.length === 0 ? undefined : Object.fromEntries(left),
    }
  }
}

function pairs(headers: readonly string[]): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = []
  for (let at = 0; at < headers.length; at += 2) found.push([headers[at] ?? '', headers[at + 1] ?? ''])
  return found
}

function changes(headers: readonly (readonly [string, string])[], action: HeaderChangeAction): readonly HeaderChange[] {
  return headers.map(([name, value]) => ({ name, value, action }))
}
