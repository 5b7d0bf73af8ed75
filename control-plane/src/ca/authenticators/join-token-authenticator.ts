import type { JoinTokens } from '../join-tokens.ts'
import { AuthenticationError, type Authenticator, type Caller, type Credentials } from './authenticator.ts'

/** Knows callers by a one-time token that an operator made for one identity. */
export class JoinTokenAuthenticator implements Authenticator {
  readonly #tokens: JoinTokens

  constructor(tokens: JoinTokens) {
    this.#tokens = tokens
  }

  claims({ bearer }: Credentials): boolean {
    return bearer?.startsWith('inmesh1.') ?? false
  }

  async authenticate({ bearer = '' }: Credentials): Promise<Caller> {
    const token = this.#tokens.verify(bearer)
    if (!token) throw new AuthenticationError('the join token is unknown, used, expired or wrong')
    return {
      spiffeId: token.spiffeId,
      method: 'join_token',
      redeem: () => this.#tokens.redeem(token),
      giveBack: () => this.#tokens.giveBack(token),
    }
  }
}
