import { inspect } from 'node:util'

/** The first part of every join token: names the format. */
const version = 'inmesh1'

/** Length of a SHA-256 in base64url without padding. */
const pinLength = 43

/**
 * What a service proves with once that it may have an identity, and how it knows the control plane by then. The secret never leaves
 * through `JSON.stringify` or `util.inspect`; {@link JoinToken.bearer} hands it out.
 */
export class JoinToken {
  /** Names the token to the control plane; no secret. */
  readonly id: string
  /** SHA-256 of the SPKI of the trust domain's root, base64url without padding. */
  readonly pin: string
  readonly #secret: string

  constructor(id: string, secret: string, pin: string) {
    this.id = id
    this.pin = pin
    this.#secret = secret
  }

  /** The secret part. */
  get secret(): string {
    return this.#secret
  }

  /** The whole token: printed for the user once, and sent as `authorization: Bearer …` over a connection whose root has the pin. */
  get bearer(): string {
    return `${version}.${this.id}.${this.#secret}.${this.pin}`
  }

  toJSON(): object {
    return { id: this.id, secret: '[redacted]', pin: this.pin }
  }

  [inspect.custom](): string {
    return `JoinToken { id: '${this.id}', secret: [redacted], pin: '${this.pin}' }`
  }
}

/**
 * Reads `inmesh1.ID.SECRET.PIN`, each part base64url without padding. `undefined` for anything else; what was read is in no error,
 * since it may be a secret.
 */
export function parseJoinToken(text: string): JoinToken | undefined {
  if (text.length > 256) return undefined
  const [first, id, secret, pin, ...more] = text.trim().split('.')
  if (first !== version || !id || !secret || !pin || more.length > 0) return undefined
  if (![id, secret, pin].every(part => /^[A-Za-z0-9_-]+$/.test(part)) || pin.length !== pinLength) return undefined
  return new JoinToken(id, secret, pin)
}
