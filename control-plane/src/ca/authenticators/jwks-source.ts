import { createLocalJWKSet, type JSONWebKeySet } from 'jose'
import type { Clock, Logger } from '../../runtime.ts'
import { AuthenticatorUnavailableError } from './authenticator.ts'

/** Keys by the header of a token, as `jose` wants them. */
export type KeySet = ReturnType<typeof createLocalJWKSet>

/** Options of {@link JwksSource}. */
export interface JwksSourceOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Reads the document. Its size and time are limited by whoever reads. */
  read(): Promise<string>
  /** Age at which the keys are read again before use: how long a removed key lives at most. Default 10 min. */
  readonly maxAgeMs?: number
  /** Age up to which keys are used that cannot be read again. Default 24 h. */
  readonly maxStaleMs?: number
  /** Least pause between two reads. Default 30 s. */
  readonly cooldownMs?: number
}

const maxKeys = 100

/** The keys of an issuer: cached, read again when they are old or one is missing, the last good ones kept while that fails. */
export class JwksSource {
  readonly #options: JwksSourceOptions
  #keys: KeySet | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor(options: JwksSourceOptions) {
    this.#options = options
  }

  /** @throws {AuthenticatorUnavailableError} when there are none, or none young enough */
  async current(): Promise<KeySet> {
    if (this.#age() >= (this.#options.maxAgeMs ?? 600_000)) await this.#refresh()
    if (!this.#keys || this.#age() >= (this.#options.maxStaleMs ?? 86_400_000))
      throw new AuthenticatorUnavailableError('the keys of the issuer are not known')
    return this.#keys
  }

  /** The same after a read, unless the last one is too short ago. */
  async refreshed(): Promise<KeySet> {
    await this.#refresh()
    return this.current()
  }

  #age(): number {
    return this.#options.clock.now() - this.#readAt
  }

  async #refresh(): Promise<void> {
    const { clock, cooldownMs = 30_000 } = this.#options
    if (!this.#reading && clock.now() - this.#triedAt < cooldownMs) return
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  async #read(): Promise<void> {
    const { clock, logger, read } = this.#options
    this.#triedAt = clock.now()
    try {
      this.#keys = createLocalJWKSet(parseKeySet(await read()))
      this.#readAt = clock.now()
    } catch (error) {
      logger.warn('the keys of the token issuer cannot be read', { error: String(error), lastGood: this.#keys !== undefined })
    }
  }
}

function parseKeySet(text: string): JSONWebKeySet {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys))
    throw new Error('not a JWKS')
  if (value.keys.length > maxKeys) throw new Error(`more than ${maxKeys} keys`)
  return { keys: value.keys }
}
