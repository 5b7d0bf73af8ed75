import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { AuthenticationError } from '../../../src/ca/authenticators/authenticator.ts'
import { JwksSource } from '../../../src/ca/authenticators/jwks-source.ts'
import { ServiceAccountAuthenticator } from '../../../src/ca/authenticators/service-account-authenticator.ts'
import { silentLogger } from '../../../src/runtime.ts'
import { reviews, trustDomain } from '../../support/certificates.ts'

const issuer = 'https://kubernetes.default.svc'
const audience = 'inmesh'

async function start() {
  const clock = new ManualClock()
  const keys = new Map<string, { privateKey: CryptoKey; jwk: object }>()
  const addKey = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    keys.set(kid, { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } })
  }
  await addKey('one')
  let reads = 0
  const source = new JwksSource({
    clock,
    logger: silentLogger,
    async read() {
      reads += 1
      return JSON.stringify({ keys: [...keys.values()].map(({ jwk }) => jwk) })
    },
  })
  const authenticator = new ServiceAccountAuthenticator({ trustDomain, clock, issuer, audience, keys: source })
  const seconds = () => Math.floor(clock.wallNow() / 1000)
  const usual = () => ({ iss: issuer, aud: audience, sub: 'system:serviceaccount:default:reviews', exp: seconds() + 600 })
  /** Without those that are undefined. */
  const payload = (claims: object): JWTPayload => JSON.parse(JSON.stringify({ ...usual(), ...claims }))
  const token = (claims: Readonly<Record<string, unknown>> = {}, kid = 'one') =>
    new SignJWT(payload(claims)).setProtectedHeader({ alg: 'ES256', kid }).sign(keys.get(kid)?.privateKey ?? assert.fail())
  const identify = async (bearer: string) => authenticator.authenticate({ bearer, peerIdentity: undefined })
  return { clock, keys, addKey, token, identify, authenticator, seconds, reads: () => reads }
}

test('a service-account token for this control plane proves the identity of its account', async () => {
  const { token, identify } = await start()
  assert.deepEqual(await identify(await token()), { spiffeId: reviews, method: 'service_account' })
  assert.equal((await identify(await token({ aud: ['other', audience] }))).spiffeId, reviews)
})

test('E5, E6: other issuers and audiences, expired, early and endless tokens are refused', async () => {
  const { token, identify, seconds } = await start()
  for (const claims of [
    { iss: `${issuer}.evil` },
    { iss: undefined },
    { aud: 'istio-ca' },
    { aud: undefined },
    { exp: seconds() - 1 },
    { exp: undefined },
    { nbf: seconds() + 60 },
  ] as const)
    await assert.rejects(token(claims).then(identify), AuthenticationError, JSON.stringify(claims))
})

test('a subject that is no service account proves nothing', async () => {
  const { token, identify } = await start()
  for (const sub of [
    'system:node:a',
    'system:serviceaccount:default',
    'system:serviceaccount:default:a:b',
    'system:serviceaccount:a/b:c',
    'system:serviceaccount:..:c',
    'x system:serviceaccount:default:reviews',
    undefined,
  ])
    await assert.rejects(token({ sub }).then(identify), AuthenticationError, sub)
})

test('E1, E12: unsigned, otherwise signed, tampered and oversized tokens are refused', async () => {
  const { token, identify, seconds, keys } = await start()
  const claims = { iss: issuer, aud: audience, sub: 'system:serviceaccount:default:reviews', exp: seconds() + 600 }
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const good = await token()
  const [header, , signature] = good.split('.')
  const shared = new TextEncoder().encode(JSON.stringify(keys.get('one')?.jwk))
  for (const bearer of [
    `${part({ alg: 'none' })}.${part(claims)}.`,
    await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(shared),
    `${header}.${part({ ...claims, sub: 'system:serviceaccount:default:admin' })}.${signature}`,
    `${good}${'A'.repeat(20_000)}`,
    '',
    'x',
  ])
    await assert.rejects(identify(bearer), AuthenticationError)
})

test('E4: a new key of the issuer is looked for at once, then not again for 30 s', async () => {
  const { token, identify, addKey, reads, clock, keys } = await start()
  await identify(await token())
  clock.advance(30_000)
  await addKey('two')
  await identify(await token({}, 'two'))
  assert.equal(reads(), 2)
  await addKey('three')
  await assert.rejects(identify(await token({}, 'three')), AuthenticationError)
  assert.equal(reads(), 2)
  clock.advance(30_000)
  await identify(await token({}, 'three'))
  const stale = await token()
  keys.delete('one')
  clock.advance(600_000)
  await assert.rejects(identify(stale), AuthenticationError)
})

test('only bearer tokens of other forms than a join token are claimed', async () => {
  const { authenticator } = await start()
  const claims = (bearer: string | undefined) => authenticator.claims({ bearer, peerIdentity: undefined })
  assert.deepEqual([claims('a.b.c'), claims('inmesh1.a.b.c'), claims(undefined)], [true, false, false])
})
