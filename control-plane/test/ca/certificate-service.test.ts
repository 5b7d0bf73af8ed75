import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { StructSchema } from '@bufbuild/protobuf/wkt'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { Authenticator } from '../../src/ca/authenticators/authenticator.ts'
import { ClientCertificateAuthenticator } from '../../src/ca/authenticators/client-certificate-authenticator.ts'
import { JoinTokenAuthenticator } from '../../src/ca/authenticators/join-token-authenticator.ts'
import { JwksSource } from '../../src/ca/authenticators/jwks-source.ts'
import { ServiceAccountAuthenticator } from '../../src/ca/authenticators/service-account-authenticator.ts'
import { CertificateService } from '../../src/ca/certificate-service.ts'
import { JoinTokens } from '../../src/ca/join-tokens.ts'
import { MemoryCaStore } from '../../src/ca/memory-ca-store.ts'
import type { Clock, Logger } from '../../src/runtime.ts'
import type { GrpcCall } from '../../src/xds/grpc-call.ts'
import { certificateRequest, hourMs, openAuthority, reviews, trustDomain } from '../support/certificates.ts'

const ownIdentity = 'spiffe://mesh.test/ns/inmesh-system/sa/control-plane'

/** Reads an answer as `cert_chain`. */
function chainOf(bytes: Uint8Array): string[] {
  const reader = new BinaryReader(bytes)
  const chain: string[] = []
  while (reader.pos < reader.len) {
    assert.deepEqual(reader.tag(), [1, WireType.LengthDelimited])
    chain.push(reader.string())
  }
  return chain
}

function requestBytes(csr: string, given: { seconds?: number; metadata?: Uint8Array } = {}): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(csr)
  if (given.seconds !== undefined) writer.tag(3, WireType.Varint).int64(given.seconds)
  if (given.metadata) writer.tag(4, WireType.LengthDelimited).bytes(given.metadata)
  // One that a later version may add.
  return writer.tag(15, WireType.LengthDelimited).string('x').finish()
}

async function start(
  options: Parameters<typeof openAuthority>[0] = {},
  more: (clock: Clock, logger: Logger) => readonly Authenticator[] = () => [],
) {
  const { authority, clock, store } = await openAuthority(options)
  const tokens = await JoinTokens.open({ trustDomain, clock, store })
  const lines: string[] = []
  const write = (message: string, fields = {}) => lines.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { debug: write, info: write, warn: write, error: write }
  const authenticators = [new JoinTokenAuthenticator(tokens), ...more(clock, logger), new ClientCertificateAuthenticator()]
  const service = new CertificateService({ authority, authenticators, ownIdentity, clock, logger })
  const [handler] = service.handlers().values()
  const ask = (request: Uint8Array, from: Partial<GrpcCall> = {}) =>
    new Promise<{ code: number; message: string; chain: string[] }>(resolve => {
      let chain: string[] = []
      const call: GrpcCall = {
        peer: '10.0.0.7:4711',
        congested: false,
        write: frame => {
          chain = chainOf(frame.subarray(5))
        },
        end: (code, message) => resolve({ code, message, chain }),
        ...from,
      }
      const listener = handler?.(call)
      listener?.onMessage(request)
      listener?.onEnd?.()
    })
  const newToken = async (spiffeId = reviews) => `Bearer ${(await tokens.create(spiffeId, authority.pin)).bearer}`
  const { csr, publicKey } = await certificateRequest()
  return { authority, clock, tokens, ask, newToken, csr, publicKey, lines }
}

test('a join token buys one certificate for its identity: the leaf first, the root last', async () => {
  const { ask, newToken, csr, authority, publicKey } = await start()
  const authorization = await newToken()
  const { code, chain } = await ask(requestBytes(csr, { seconds: 3600 }), { authorization })
  assert.equal(code, 0)
  assert.equal(chain.length, 2)
  assert.equal(chain.at(-1), authority.bundle.roots[0])
  const leaf = new X509Certificate(chain[0] ?? '')
  assert.equal(leaf.subjectAltName, `URI:${reviews}`)
  assert.deepEqual(leaf.publicKey.export({ type: 'spki', format: 'der' }), publicKey)
  assert.equal(leaf.validToDate.getTime() - leaf.validFromDate.getTime(), hourMs + 120_000)
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 16)
})

test('while the root is replaced the answer has both, the one that signed last', async () => {
  const { ask, newToken, csr, authority } = await start()
  authority.requestRotation()
  await authority.advanceRotation(() => false, 0)
  const { chain } = await ask(requestBytes(csr), { authorization: await newToken() })
  assert.equal(chain.length, 3)
  assert.ok(new X509Certificate(chain[0] ?? '').checkIssued(new X509Certificate(chain[2] ?? '')))
  assert.deepEqual(new Set(chain.slice(1)), new Set(authority.bundle.roots))
})

test('a refused caller is told nothing, and the log says why', async () => {
  const { ask, csr, lines } = await start()
  for (const authorization of [
    undefined,
    '',
    'Basic x',
    'Bearer',
    'Bearer a b',
    'Bearer a.b.c',
    `Bearer inmesh1.a.b.${'A'.repeat(43)}`,
  ]) {
    const { code, message } = await ask(requestBytes(csr), authorization === undefined ? {} : { authorization })
    assert.deepEqual([code, message], [16, 'request authentication failure'], authorization)
  }
  assert.ok(lines.some(line => line.includes('the join token is unknown')))
  assert.ok(lines.every(line => line.includes('10.0.0.7:4711')))
})

test('H1: no token is in the log', async () => {
  const { ask, csr, lines, newToken } = await start()
  const authorization = await newToken()
  await ask(requestBytes(csr), { authorization })
  await ask(requestBytes(csr), { authorization })
  assert.ok(lines.length > 0)
  assert.ok(!lines.join('\n').includes(authorization.slice(-100, -44)))
})

test('impersonation and the identity of the control plane itself are refused', async () => {
  const { ask, newToken, csr, tokens } = await start()
  const fields = { ImpersonatedIdentity: { kind: { case: 'stringValue' as const, value: 'spiffe://mesh.test/ns/a/sa/b' } } }
  const metadata = toBinary(StructSchema, create(StructSchema, { fields }))
  assert.equal((await ask(requestBytes(csr, { metadata }), { authorization: await newToken() })).code, 16)
  assert.equal((await ask(requestBytes(csr), { authorization: await newToken(ownIdentity) })).code, 16)
  assert.equal(tokens.size, 2)
})

test('a request that is wrong, too early or too much uses no token up', async () => {
  const { ask, newToken, csr, clock } = await start({ issuancesPerSecond: 1 })
  const authorization = await newToken()
  assert.equal((await ask(requestBytes('no request'), { authorization })).code, 3)
  assert.equal((await ask(Uint8Array.of(0xff), { authorization })).code, 3)
  assert.equal((await ask(requestBytes(csr), { authorization: await newToken() })).code, 0)
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 8)
  clock.advance(1000)
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 0)
})

test('a token for which nothing was issued is good again: many at once, and a full disk', async () => {
  class FillingStore extends MemoryCaStore {
    full = ''
    override async writeDocument(name: string, document: unknown): Promise<void> {
      if (this.full === name) throw new Error('no space left')
      await super.writeDocument(name, document)
    }
    override async appendLine(): Promise<void> {
      if (this.full === 'issuance') throw new Error('no space left')
    }
  }
  const store = new FillingStore()
  const { ask, newToken, csr, clock } = await start({ issuancesPerSecond: 4, store })
  const authorizations = await Promise.all(Array.from({ length: 8 }, () => newToken()))
  const together = await Promise.all(authorizations.map(authorization => ask(requestBytes(csr), { authorization })))
  assert.deepEqual(together.map(({ code }) => code).sort(), [0, 0, 0, 0, 8, 8, 8, 8])
  clock.advance(1000)
  const late = authorizations.filter((_, index) => together[index]?.code === 8)
  for (const authorization of late) assert.equal((await ask(requestBytes(csr), { authorization })).code, 0)

  clock.advance(1000)
  const authorization = await newToken()
  for (store.full of ['tokens', 'issuance']) assert.equal((await ask(requestBytes(csr), { authorization })).code, 13, store.full)
  store.full = ''
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 0)
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 16)
})

test('G5: of many callers with one token one gets a certificate', async () => {
  const { ask, newToken, csr } = await start()
  const authorization = await newToken()
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(requestBytes(csr), { authorization })))
  assert.deepEqual(answers.map(({ code }) => code).sort(), [0, ...Array(7).fill(16)])
})

test('G5: an address that failed ten times is refused even with a good token, and told to come back', async () => {
  const { ask, newToken, csr, clock } = await start()
  for (let failure = 0; failure < 10; failure++)
    await ask(requestBytes(csr), { authorization: 'Bearer x', peer: `10.0.0.7:${failure}` })
  const authorization = await newToken()
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 8)
  assert.equal((await ask(requestBytes(csr), { authorization: await newToken(), peer: '10.0.0.8:1' })).code, 0)
  clock.advance(6000)
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 0)
})

test('a client certificate is renewed for its own identity; a bearer token beside it is what counts', async () => {
  const { ask, csr, clock } = await start()
  const peerIdentity = { spiffeId: reviews, serial: '1', notBeforeMs: 0, notAfterMs: clock.wallNow() + hourMs }
  const { code, chain } = await ask(requestBytes(csr), { peerIdentity })
  assert.deepEqual([code, new X509Certificate(chain[0] ?? '').subjectAltName], [0, `URI:${reviews}`])
  assert.equal((await ask(requestBytes(csr), { peerIdentity, authorization: 'Bearer x' })).code, 16)
})

test('while the keys of an issuer are not known its callers are told to come back, and it counts as no failure of theirs', async () => {
  let document: string | undefined
  const read = async () => document ?? Promise.reject(new Error('connect ECONNREFUSED'))
  const { ask, csr, clock } = await start({}, (clock, logger) => {
    const keys = new JwksSource({ clock, logger, read })
    return [new ServiceAccountAuthenticator({ trustDomain, clock, issuer: 'https://k8s', audience: 'inmesh', keys })]
  })
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const expires = Math.floor(clock.wallNow() / 1000) + 3600
  const claims = { iss: 'https://k8s', aud: 'inmesh', sub: 'system:serviceaccount:default:reviews', exp: expires }
  const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(privateKey)
  const authorization = `Bearer ${token}`
  for (let attempt = 0; attempt < 12; attempt++) {
    const { code, message } = await ask(requestBytes(csr), { authorization })
    assert.deepEqual([code, message], [14, 'no certificates are issued at present'])
  }
  document = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] })
  clock.advance(30_000)
  assert.equal((await ask(requestBytes(csr), { authorization })).code, 0)
})

test('without a root that is valid now callers are told to come back', async () => {
  const { ask, newToken, csr, authority, clock } = await start({ rootLifetimeMs: hourMs })
  clock.advance(hourMs)
  assert.throws(() => authority.requireReady())
  const { code, message } = await ask(requestBytes(csr), { authorization: await newToken() })
  assert.deepEqual([code, message], [14, 'no certificates are issued at present'])
})
