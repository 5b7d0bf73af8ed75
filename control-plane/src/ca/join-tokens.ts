import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { JoinToken, parseJoinToken } from 'inmesh/security/join-token'
import type { Clock } from '../runtime.ts'
import type { CaStore } from './ca-store.ts'
import { isServiceIdentity } from './spiffe-id.ts'

const formatVersion = 1
const minuteMs = 60_000

/** A token that nobody has used yet. */
interface StoredToken {
  readonly id: string
  /** Hexadecimal. */
  readonly secretSha256: string
  readonly spiffeId: string
  readonly expiresAtMs: number
}

/** Options of {@link JoinTokens.open}. */
export interface JoinTokensOptions {
  readonly trustDomain: string
  readonly store: CaStore
  readonly clock: Clock
  /** Longest life that can be asked for. Default 24 h. */
  readonly maxTtlMs?: number
  /** Unused tokens at once. Default 10,000. */
  readonly maxTokens?: number
}

/** The token cannot be made; the message is for the operator. */
export class BadTokenRequestError extends Error {}

/** A token that proves an identity, as long as it is not redeemed. */
export interface ValidToken {
  readonly id: string
  readonly spiffeId: string
}

/** One-time proofs of identity. Only hashes of them are kept. */
export class JoinTokens {
  readonly #options: JoinTokensOptions
  readonly #tokens: Map<string, StoredToken>
  readonly #redeemed = new WeakMap<ValidToken, StoredToken>()

  private constructor(options: JoinTokensOptions, tokens: readonly StoredToken[]) {
    this.#options = options
    this.#tokens = new Map(tokens.map(token => [token.id, token]))
  }

  /** Reads the unused tokens from the store. */
  static async open(options: JoinTokensOptions): Promise<JoinTokens> {
    return new JoinTokens(options, parseTokens(await options.store.readDocument('tokens')))
  }

  /** Life of a token that is not asked to have another: 10 min. */
  readonly defaultTtlMs = 10 * minuteMs

  /** Unused tokens, expired ones included until the next change. */
  get size(): number {
    return this.#tokens.size
  }

  /**
   * Makes a token for one identity.
   *
   * @param spiffeId `spiffe://TD/ns/NAMESPACE/sa/SERVICE-ACCOUNT`
   * @param pin of the root that signs
   * @param ttlMs default {@link defaultTtlMs}
   * @throws {BadTokenRequestError} for other identities and lives, and when there are too many
   */
  async create(spiffeId: string, pin: string, ttlMs = this.defaultTtlMs): Promise<JoinToken> {
    const { trustDomain, clock, maxTtlMs = 24 * 60 * minuteMs, maxTokens = 10_000 } = this.#options
    if (!isServiceIdentity(spiffeId, trustDomain))
      throw new BadTokenRequestError(`${spiffeId} is not spiffe://${trustDomain}/ns/NAMESPACE/sa/SERVICE-ACCOUNT`)
    if (!(ttlMs > 0) || ttlMs > maxTtlMs) throw new BadTokenRequestError(`a token lives up to ${maxTtlMs / minuteMs} minutes`)
    this.#dropExpired()
    if (this.#tokens.size >= maxTokens) throw new BadTokenRequestError(`there are ${maxTokens} unused tokens`)
    const token = new JoinToken(randomBytes(9).toString('base64url'), randomBytes(32).toString('base64url'), pin)
    this.#tokens.set(token.id, {
      id: token.id,
      secretSha256: sha256(token.secret).toString('hex'),
      spiffeId,
      expiresAtMs: clock.wallNow() + ttlMs,
    })
    await this.#save()
    return token
  }

  /** What a token proves; `undefined` when it is unknown, used, expired or has a wrong secret. Does not use it up. */
  verify(text: string): ValidToken | undefined {
    const presented = parseJoinToken(text)
    const stored = presented && this.#tokens.get(presented.id)
    if (!presented || !stored) return undefined
    if (!timingSafeEqual(sha256(presented.secret), Buffer.from(stored.secretSha256, 'hex'))) return undefined
    if (this.#options.clock.wallNow() >= stored.expiresAtMs) return undefined
    return { id: stored.id, spiffeId: stored.spiffeId }
  }

  /**
   * Uses a token up. Of several callers at once one gets true, and only after it is written down, so that no restart brings the token
   * back.
   */
  async redeem(token: ValidToken): Promise<boolean> {
    const { id } = token
    const stored = this.#tokens.get(id)
    if (stored === undefined) return false
    this.#tokens.delete(id)
    this.#redeemed.set(token, stored)
    try {
      await this.#save()
    } catch (error) {
      this.#tokens.set(id, stored)
      throw error
    }
    return true
  }

  /** Makes a token that was redeemed good again, when nobody got anything for it. */
  async giveBack(token: ValidToken): Promise<void> {
    const stored = this.#redeemed.get(token)
    if (stored === undefined) return
    this.#tokens.set(stored.id, stored)
    await this.#save()
  }

  #dropExpired(): void {
    const nowMs = this.#options.clock.wallNow()
    for (const { id, expiresAtMs } of this.#tokens.values()) if (nowMs >= expiresAtMs) this.#tokens.delete(id)
  }

  async #save(): Promise<void> {
    await this.#options.store.writeDocument('tokens', { version: formatVersion, tokens: [...this.#tokens.values()] })
  }
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

function parseTokens(document: unknown): readonly StoredToken[] {
  if (document === undefined) return []
  if (isRecord(document) && document.version === formatVersion && Array.isArray(document.tokens)) {
    if (document.tokens.every(isToken)) return document.tokens
  }
  throw new Error('the stored join tokens are not readable')
}

function isToken(value: unknown): value is StoredToken {
  if (!isRecord(value)) return false
  const { id, secretSha256, spiffeId, expiresAtMs } = value
  const isHash = typeof secretSha256 === 'string' && /^[0-9a-f]{64}$/.test(secretSha256)
  return typeof id === 'string' && isHash && typeof spiffeId === 'string' && typeof expiresAtMs === 'number'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
