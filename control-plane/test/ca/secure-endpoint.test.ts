import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingHttpHeaders, SecureClientSessionOptions } from 'node:http2'
import { get } from 'node:https'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import { DeltaDiscoveryRequestSchema } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import { parseJoinToken } from 'inmesh/security/join-token'
import { findPinnedRoot } from '../../../src/security/pinned-root.ts'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { until } from '../../../test/support/until.ts'
import { SecureEndpoint, type SecureEndpointOptions } from '../../src/ca/secure-endpoint.ts'
import { SigningRoot } from '../../src/ca/signing-root.ts'
import { silentLogger } from '../../src/runtime.ts'
import { AdsServer } from '../../src/xds/ads-server.ts'
import { messageFrame } from '../../src/xds/message-frame.ts'
import { clusterType } from '../../src/xds/resource-type.ts'
import { certificateRequest, dayMs, hourMs, issueRequest, reviews, trustDomain } from '../support/certificates.ts'
import { cluster, resourcesOf } from '../support/resources.ts'
import { call, connectSecurely, createCertificate, presentedBy } from '../support/secure-client.ts'
import { StaticSource } from '../support/static-source.ts'

const xdsPath = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const xdsRequest = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { typeUrl: clusterType }))

/** @param behindMs how far the clock starts in the past: the checks of the TLS library know the real time only */
async function start(t: TestContext, given: Partial<SecureEndpointOptions> = {}, behindMs = 0) {
  const clock = new ManualClock(Date.now() - behindMs)
  const runtime = { clock, logger: silentLogger }
  const ads = new AdsServer({ ...runtime, source: new StaticSource(resourcesOf({ clusters: [cluster('a')] })), debounceMs: 0 })
  const handlers = ads.handlers()
  const endpoint = await SecureEndpoint.start({
    runtime,
    trustDomain,
    port: 0,
    bundlePort: 0,
    handlers,
    random: () => 0.5,
    // The client does not answer within a step of the manual clock.
    keepaliveIntervalMs: 0,
    ...given,
  })
  const closing: (() => void)[] = []
  t.after(async () => {
    for (const close of closing) close()
    await endpoint.close()
    ads.close()
  })
  const open = async (options: SecureClientSessionOptions = {}) => {
    const session = await connectSecurely(endpoint.address, { ca: [...endpoint.authority.bundle.roots], ...options })
    closing.push(() => session.destroy())
    return session
  }
  /** A client with a certificate of the authority. */
  const openAs = async (spiffeId = reviews, ttlMs = 0) => {
    const { publicKey, privateKey } = await certificateRequest()
    const issued = await endpoint.authority.issue(issueRequest({ publicKey, spiffeId, ttlMs }))
    return { session: await open({ key: privateKey, cert: issued.certificate }), serial: issued.serial }
  }
  const openXds = async (session: Awaited<ReturnType<typeof open>>) => {
    const stream = session.request({ ':method': 'POST', ':path': xdsPath, 'content-type': 'application/grpc' })
    const ended = once(stream, 'trailers').then(([trailers]) => trailers)
    stream.write(messageFrame(xdsRequest))
    await once(stream, 'data')
    return { stream, ended }
  }
  return { endpoint, clock, ads, open, openAs, openXds }
}

test('a service with a join token finds the root by its pin, gets a certificate, opens xDS with it and renews it', async t => {
  const { endpoint, ads, open, openXds } = await start(t)
  const printed = (await endpoint.tokens.create(reviews, endpoint.authority.pin)).bearer

  const token = parseJoinToken(printed) ?? assert.fail()
  const presented = await presentedBy(endpoint.address)
  const root = findPinnedRoot(presented, token.pin) ?? assert.fail('the root is not among what the server presents')
  assert.match(presented[0]?.subjectAltName ?? '', /URI:spiffe:\/\/mesh\.test\/ns\/inmesh-system\/sa\/control-plane/)

  const first = await open({ ca: root.toString() })
  const { csr, privateKey } = await certificateRequest()
  const { chain } = await createCertificate(first, csr, { authorization: `Bearer ${token.bearer}` })
  assert.equal(new X509Certificate(chain[0] ?? '').subjectAltName, `URI:${reviews}`)

  const second = await open({ ca: chain.slice(1), key: privateKey, cert: chain[0] })
  await openXds(second)
  assert.deepEqual(
    ads.clients().map(({ identity }) => identity),
    [reviews],
  )
  const renewed = await createCertificate(second, (await certificateRequest()).csr)
  assert.equal(new X509Certificate(renewed.chain[0] ?? '').subjectAltName, `URI:${reviews}`)
})

test('a server with another root does not have the pin', async t => {
  const { endpoint } = await start(t)
  const { endpoint: impostor } = await start(t)
  assert.equal(findPinnedRoot(await presentedBy(impostor.address), endpoint.authority.pin), undefined)
})

test('G1: xDS without a client certificate is refused, CreateCertificate is not but for want of credentials', async t => {
  const { open, ads } = await start(t)
  const session = await open()
  const { status, message } = await call(session, xdsPath, xdsRequest)
  assert.deepEqual([status, message], ['16', 'a client certificate of this trust domain is required'])
  assert.equal(ads.clients().length, 0)
  assert.equal((await createCertificate(session, (await certificateRequest()).csr)).status, '16')
})

test('G1: a client certificate of another authority for the same name is none', async t => {
  const { open } = await start(t)
  const { endpoint: other } = await start(t)
  const { publicKey, privateKey } = await certificateRequest()
  const { certificate } = await other.authority.issue(issueRequest({ publicKey }))
  const session = await open({ key: privateKey, cert: certificate })
  assert.equal((await call(session, xdsPath, xdsRequest)).status, '16')
  assert.equal((await createCertificate(session, (await certificateRequest()).csr)).status, '16')
})

test('A1: an authority of the same name as client certificate is none', async t => {
  const { open } = await start(t)

  const root = await SigningRoot.create(trustDomain, Date.now(), dayMs)
  const session = await open({ key: root.exportKey(), cert: root.certificatePem })
  assert.equal((await call(session, xdsPath, xdsRequest)).status, '16')
})

test('G6: an expired certificate is not renewed, and its streams end', async t => {
  const { openAs, openXds, clock } = await start(t)
  const { session } = await openAs(reviews, hourMs)
  const { ended } = await openXds(session)
  const { csr } = await certificateRequest()
  clock.advance(hourMs - 1001)
  assert.equal((await createCertificate(session, csr)).status, '0')
  clock.advance(1001)
  assert.equal((await ended)['grpc-status'], '14')
  assert.equal((await createCertificate(session, csr)).status, '16')
})

test('G6: a revoked certificate is not renewed, its streams end, and a new connection does not help', async t => {
  const { openAs, openXds, endpoint } = await start(t)
  const { session, serial } = await openAs()
  const { ended } = await openXds(session)
  await endpoint.authority.revoke(serial)
  assert.equal((await ended)['grpc-status'], '16')
  assert.equal((await createCertificate(session, (await certificateRequest()).csr)).status, '16')
  assert.equal((await call(session, xdsPath, xdsRequest)).status, '16')
})

test('E7: two authorization headers are refused', async t => {
  const { open, endpoint } = await start(t)
  const { bearer } = await endpoint.tokens.create(reviews, endpoint.authority.pin)
  // The client of Node does not send what its server must withstand, unless told so.
  const lax: SecureClientSessionOptions & { readonly strictSingleValueFields: boolean } = { strictSingleValueFields: false }
  const session = await open(lax)
  const stream = session.request([
    ':method',
    'POST',
    ':path',
    xdsPath,
    'content-type',
    'application/grpc',
    'authorization',
    `Bearer ${bearer}`,
    'authorization',
    'Bearer x',
  ])
  const [headers] = await once(stream, 'response')
  assert.deepEqual([headers['grpc-status'], headers['grpc-message']], ['16', 'more than one authorization header'])
})

test('A22, A23: TLS 1.2 is refused and sessions are not resumed, after the certificate was replaced too', async t => {
  const { endpoint, clock } = await start(t, {}, 13 * hourMs)
  const check = async () => {
    await assert.rejects(presentedBy(endpoint.address, { maxVersion: 'TLSv1.2' }), /protocol version/)
    const port = Number(endpoint.address.split(':').at(-1))
    const socket = connectTls({ host: 'localhost', port, ca: [...endpoint.authority.bundle.roots], ALPNProtocols: ['h2'] })
    const [ticket] = await once(socket, 'session')
    assert.equal(socket.getProtocol(), 'TLSv1.3')
    socket.destroy()
    const again = connectTls({
      host: 'localhost',
      port,
      ca: [...endpoint.authority.bundle.roots],
      session: ticket,
      ALPNProtocols: ['h2'],
    })
    await once(again, 'secureConnect')
    assert.equal(again.isSessionReused(), false)
    again.destroy()
  }
  await check()
  await clock.advanceAsync(13 * hourMs)
  await check()
})

test('the server certificate is renewed at half of its life without dropping a connection', async t => {
  const { endpoint, openAs, openXds, clock, open } = await start(t, {}, 12 * hourMs)
  const { session } = await openAs(reviews, 10 * dayMs)
  const { stream } = await openXds(session)
  const [before] = await presentedBy(endpoint.address)
  await clock.advanceAsync(12 * hourMs - 1)
  assert.equal((await presentedBy(endpoint.address))[0]?.serialNumber, before?.serialNumber)
  clock.advance(1)
  await until(async () => (await presentedBy(endpoint.address))[0]?.serialNumber !== before?.serialNumber)
  assert.ok(!stream.destroyed && !session.destroyed)
  assert.equal((await createCertificate(session, (await certificateRequest()).csr)).status, '0')
  await open()
})

test('A16: through a rotation of the root the old clients go on, the new ones trust the new root, and nothing drops', async t => {
  const minuteMs = 60_000
  const { endpoint, openAs, openXds, clock, ads } = await start(t, { rootOverlapMs: 30 * minuteMs }, 60 * minuteMs)
  const old = await openAs(reviews, 60 * minuteMs + 20_000)
  const oldStream = await openXds(old.session)
  clock.advance(2000)
  await endpoint.rotateRoot()
  const { pin } = endpoint.authority
  assert.equal(endpoint.authority.bundle.roots.length, 2)

  // The old client may not have the new root, so nothing is signed with it, however long it takes.
  await clock.advanceAsync(45 * minuteMs, minuteMs)
  assert.equal(endpoint.authority.pin, pin)
  const young = await openAs()
  const youngStream = await openXds(young.session)
  assert.equal(ads.clients().length, 2)
  await clock.advanceAsync(15 * minuteMs, minuteMs)
  assert.equal(endpoint.authority.pin, pin)

  // Its certificate ends, and with it the stream; all that are left got both roots with theirs.
  await clock.advanceAsync(minuteMs, minuteMs)
  assert.equal((await oldStream.ended)['grpc-status'], '14')
  await until(async () => {
    const presented = await presentedBy(endpoint.address)
    return endpoint.authority.pin !== pin && findPinnedRoot(presented, endpoint.authority.pin)
  })
  assert.equal((await createCertificate(young.session, (await certificateRequest()).csr)).status, '0')
  assert.ok(!youngStream.stream.destroyed)
  assert.deepEqual(
    ads.clients().map(({ identity }) => identity),
    [reviews],
  )
  const again = await openAs()
  await openXds(again.session)
})

test('the trust bundle is served as JWKS over HTTPS, with a sequence that grows', async t => {
  const { endpoint } = await start(t)
  const fetchBundle = async () => {
    const port = Number(endpoint.bundleAddress.split(':').at(-1))
    const request = get({ host: 'localhost', port, ca: [...endpoint.authority.bundle.roots], agent: false })
    const [response] = await once(request, 'response')
    assert.equal(response.headers['content-type'], 'application/json')
    return JSON.parse(await text(response))
  }
  const { keys, spiffe_sequence, spiffe_refresh_hint } = await fetchBundle()
  assert.deepEqual([keys.length, spiffe_sequence, spiffe_refresh_hint], [1, 1, 300])
  const [{ use, kty, crv, x5c, kid }] = keys
  assert.deepEqual([use, kty, crv, x5c.length, kid], ['x509-svid', 'EC', 'P-256', 1, undefined])
  const root = new X509Certificate(Buffer.from(x5c[0], 'base64'))
  assert.equal(root.toString(), new X509Certificate(endpoint.authority.bundle.roots[0] ?? '').toString())
  await endpoint.rotateRoot()
  const next = await fetchBundle()
  assert.deepEqual([next.keys.length, next.spiffe_sequence], [2, 2])
})

test('the bundle endpoint answers nothing but GET and HEAD', async t => {
  const { endpoint } = await start(t)
  const port = Number(endpoint.bundleAddress.split(':').at(-1))
  const request = get({ host: 'localhost', port, ca: [...endpoint.authority.bundle.roots], agent: false, method: 'POST' })
  const [response] = await once(request, 'response')
  assert.equal(response.statusCode, 405)
  response.resume()
})

test('a client that speaks HTTP/1.1 or plaintext is refused, and others go on', async t => {
  const { endpoint, openAs, openXds } = await start(t)
  await assert.rejects(presentedBy(endpoint.address, { ALPNProtocols: ['http/1.1'] }), /application protocol/)
  const { session } = await openAs()
  await openXds(session)
})

test('an ordinary gRPC client gets a certificate', async t => {
  const { endpoint } = await start(t)
  const { bearer } = await endpoint.tokens.create(reviews, endpoint.authority.pin)
  const roots = Buffer.from(endpoint.authority.bundle.roots.join('\n'))
  const port = endpoint.address.split(':').at(-1)
  const client = new Client(`localhost:${port}`, credentials.createSsl(roots))
  t.after(() => client.close())
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${bearer}`)
  const ask = () =>
    new Promise<Buffer>((resolve, reject) => {
      const path = '/istio.v1.auth.IstioCertificateService/CreateCertificate'
      const same = (bytes: Buffer) => bytes
      client.makeUnaryRequest(path, same, same, request, metadata, (error, answer) =>
        error ? reject(error) : resolve(answer ?? same(Buffer.alloc(0))),
      )
    })
  const { csr } = await certificateRequest()
  const request = Buffer.from(new BinaryWriter().tag(1, WireType.LengthDelimited).string(csr).finish())
  assert.match((await ask()).toString(), /-----BEGIN CERTIFICATE-----/)
  await assert.rejects(ask(), { code: status.UNAUTHENTICATED, details: 'request authentication failure' })
})

test('a caller without a certificate holds little: a small message, few calls, and none for long', async t => {
  const { open, openAs, clock } = await start(t)
  const path = '/istio.v1.auth.IstioCertificateService/CreateCertificate'
  const begin = (session: Awaited<ReturnType<typeof open>>) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
    stream.on('error', () => {})
    stream.resume()
    const status = new Promise<string>(resolve => {
      const tell = (headers: IncomingHttpHeaders) => {
        if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']))
      }
      stream.on('response', tell)
      stream.on('trailers', tell)
    })
    return { stream, status }
  }
  const announce = (bytes: number) => {
    const prefix = Buffer.alloc(5)
    prefix.writeUInt32BE(bytes, 1)
    return prefix
  }
  const session = await open()
  const large = begin(session)
  large.stream.write(announce(64 * 1024 + 1))
  assert.equal(await large.status, '8')

  const silent = Array.from({ length: 100 }, () => begin(session))
  assert.equal(await begin(session).status, '8', 'one too many')
  const { session: known } = await openAs()
  // What was sent before it has come to the other side.
  const pinged = () => new Promise<void>(resolve => known.ping(() => resolve()))
  await pinged()
  const mine = Array.from({ length: 101 }, () => begin(known))
  mine[0]?.stream.write(announce(1024 * 1024))
  await pinged()
  clock.advance(30_000)
  assert.deepEqual(new Set(await Promise.all([...silent, ...mine].map(({ status }) => status))), new Set(['4']))
  const again = begin(session)
  again.stream.end(messageFrame(Buffer.alloc(0)))
  assert.equal(await again.status, '16', 'there is room again')
})
