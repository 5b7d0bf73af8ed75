import { readFile as readFileOfSystem } from 'node:fs/promises'
import type { Clock, Random } from '../runtime.ts'
import type { XdsStreamStatus } from './grpc-status.ts'
import { reconnectDelayMs } from './reconnect-backoff.ts'

/** What a call gets: the value of its header `authorization`, or why it has none and fails. */
export type CallAuthorization =
  | { readonly ok: true; readonly authorization: string }
  | { readonly ok: false; readonly status: XdsStreamStatus }

/** The token counts as expired so long before it is: clocks differ, and a server needs its time. */
const safetyMs = 30_000
/** The file is read again so long before the token counts as expired. */
const refreshMs = 60_000
/** gRPC's. */
const unavailable = 14
const unauthenticated = 16

/**
 * The token in a file, which somebody else keeps fresh, as call credentials (gRFC A97). The file is read when a call needs it: a token is kept until
 * 30 s before it expires, and in the last minute of that read anew beside the calls. What cannot be read is tried again with the next call, after
 * a delay that grows.
 */
export class JwtTokenFile {
  readonly #path: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #readFile: (path: string) => Promise<string>
  #known: { readonly authorization: string; readonly expiresAt: number } | undefined
  #reading: Promise<CallAuthorization> | undefined
  #failure: { readonly status: XdsStreamStatus; readonly retryAt: number } | undefined
  #failures = 0

  constructor(
    path: string,
    clock: Clock,
    random: Random,
    readFile: (path: string) => Promise<string> = file => readFileOfSystem(file, 'utf8'),
  ) {
    this.#path = path
    this.#clock = clock
    this.#random = random
    this.#readFile = readFile
  }

  /** For a call that begins now. */
  async authorize(): Promise<CallAuthorization> {
    const leftMs = this.#known === undefined ? 0 : this.#known.expiresAt - this.#clock.wallNow()
    if (this.#known === undefined || leftMs <= 0) return this.#refresh()
    if (leftMs < refreshMs) void this.#refresh()
    return { ok: true, authorization: this.#known.authorization }
  }

  async #refresh(): Promise<CallAuthorization> {
    if (this.#failure !== undefined && this.#clock.now() < this.#failure.retryAt)
      return { ok: false, status: this.#failure.status }
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<CallAuthorization> {
    let text: string
    try {
      text = await this.#readFile(this.#path)
    } catch (error) {
      return this.#fail(unavailable, error instanceof Error ? error.message : String(error))
    }
    const token = text.trim()
    const expiry = expiryOf(token)
    if (expiry === undefined) return this.#fail(unauthenticated, 'is no JWT with an expiration time (exp)')
    this.#failure = undefined
    this.#failures = 0
    const authorization = `Bearer ${token}`
    this.#known = { authorization, expiresAt: expiry * 1000 - safetyMs }
    return { ok: true, authorization }
  }

  #fail(code: number, reason: string): CallAuthorization {
    this.#failures++
    const status = { code, message: `call_creds: jwt_token_file ${this.#path}: ${reason}` }
    this.#failure = { status, retryAt: this.#clock.now() + reconnectDelayMs(this.#failures, this.#random) }
    return { ok: false, status }
  }
}

/** `exp` of a token in compact form, in seconds. Whether the token is good is the server's business. */
function expiryOf(token: string): number | undefined {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token) ?? []
  if (payload === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    if (typeof claims !== 'object' || claims === null || !('exp' in claims)) return undefined
    return typeof claims.exp === 'number' && claims.exp > 0 ? claims.exp : undefined
  } catch {
    return undefined
  }
}
