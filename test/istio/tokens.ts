import { exportJWK, generateKeyPair, SignJWT } from 'jose'

/** Tokens by name, and the keys that they are verified by. */
export interface Tokens {
  /** JSON Web Key Set. */
  readonly jwks: string
  readonly signed: Readonly<Record<string, string>>
}

/** Whose tokens are good. */
export const issuer = 'https://issuer.test/realm'

const claims: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  me: { sub: 'me', aud: ['shop-1', 'x'], azp: 'app', groups: ['dev', 'ops'], scope: 'read write' },
  you: { sub: 'you', aud: 'y', azp: 'other', groups: 'dev', org: { unit: 'sales', tags: ['a', 'b'] }, level: 7, admin: true },
}

/** Made anew for each run: `me` and `you` are good; `expired`, `forged` and `foreign` say what is wrong with them. */
export async function issueTokens(): Promise<Tokens> {
  const [own, other] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')]
  const now = Math.floor(Date.now() / 1000)
  const sign = (payload: Readonly<Record<string, unknown>>, key = own.privateKey) =>
    new SignJWT({ iss: issuer, exp: now + 3600, ...payload }).setProtectedHeader({ alg: 'ES256', kid: 'k' }).sign(key)
  return {
    jwks: JSON.stringify({ keys: [{ ...(await exportJWK(own.publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] }),
    signed: {
      me: await sign({ ...claims.me }),
      you: await sign({ ...claims.you }),
      expired: await sign({ sub: 'me', exp: now - 600 }),
      forged: await sign({ sub: 'me' }, other.privateKey),
      foreign: await sign({ sub: 'me', iss: 'https://other.test' }),
      garbage: 'garbage',
    },
  }
}
