import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { create, toBinary } from '@bufbuild/protobuf'
import { Http2AdsTransport } from '../../src/discovery/ads-stream.ts'
import type { AdsRequest, AdsResponse } from '../../src/discovery/discovery-message.ts'
import { DiscoveryResponseSchema } from '../../src/discovery/gen/envoy/service/discovery/v3/discovery_pb.ts'
import { frameMessage } from '../../src/discovery/grpc-message.ts'
import type { XdsStreamStatus } from '../../src/discovery/grpc-status.ts'
import type { XdsCallCredentials, XdsCredentials } from '../../src/discovery/xds-server.ts'
import { XdsTransport } from '../../src/discovery/xds-stream.ts'
import { version } from '../../src/version.ts'
import { FakeAdsServer } from '../support/fake-ads-server.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { TestCa } from '../support/test-ca.ts'

const cluster = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const request: AdsRequest = { protocol: 'sotw', typeUrl: cluster, nonce: '', version: '', names: ['a'], refusal: undefined }
const insecure: XdsCredentials = { kind: 'insecure' }

/** One stream, and what it told. */
function open(
  t: TestContext,
  uri: string,
  credentials = insecure,
  clock = new ManualClock(),
  callCredentials: readonly XdsCallCredentials[] = [],
) {
  const transport = new Http2AdsTransport(
    new XdsTransport({ uri, credentials, callCredentials, features: [], delta: false }, { clock, random: () => 0.5 }),
  )
  t.after(() => transport.close())
  const connected = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<XdsStreamStatus>()
  const responses: AdsResponse[] = []
  const release: (() => void)[] = []
  const first = Promise.withResolvers<AdsResponse>()
  const start = () =>
    transport.open('sotw', {
      onConnected: connected.resolve,
      onResponse(response) {
        responses.push(response)
        first.resolve(response)
        return new Promise(resolve => release.push(resolve))
      },
      onEnd: ended.resolve,
    })
  const stream = start()
  return {
    transport,
    stream,
    clock,
    responses,
    release,
    connected: connected.promise,
    first: first.promise,
    ended: ended.promise,
  }
}

/** An HTTP/2 server that does what the test says with each stream. */
async function http2Server(t: TestContext, onStream: (stream: ServerHttp2Stream) => void, server: Http2Server = createServer()) {
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', session => sessions.add(session))
  server.on('stream', stream => {
    stream.on('error', () => {})
    onStream(stream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const session of sessions) session.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, sessions, server }
}

/** Takes connections and says nothing. */
async function tcpServer(t: TestContext) {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = once(server, 'connection') as Promise<[Socket]>
  t.after(async () => {
    server.close()
    for (const socket of await sockets) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

const grpcHeaders = { ':status': 200, 'content-type': 'application/grpc' }
const responseBytes = (nonce: string) =>
  frameMessage(toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { nonce, typeUrl: cluster })))

suite('the ADS stream over HTTP/2', () => {
  test('speaks with a gRPC server: requests go out, responses come in', async t => {
    const server = await FakeAdsServer.start({ answering: false })
    t.after(() => server.stop())
    const { stream, connected, first, release } = open(t, server.target)
    stream.send(request, undefined)
    await connected
    const { names } = await server.request(({ typeUrl }) => typeUrl === cluster)
    assert.deepEqual(names, ['a'])
    const nonce = server.send({ typeUrl: cluster })
    assert.equal((await first).nonce, nonce)
    release[0]?.()
  })

  test('a stream that is refused leaves the connection to another one that is answered', async t => {
    const server = await FakeAdsServer.start({ answering: false, protocols: ['sotw'] })
    t.after(() => server.stop())
    const { transport, stream, first, release, responses, ended } = open(t, server.target)
    stream.send(request, undefined)
    await server.request(({ typeUrl }) => typeUrl === cluster)
    server.send({ typeUrl: cluster })
    await first
    release[0]?.()
    const refused = Promise.withResolvers<XdsStreamStatus>()
    transport.open('delta', { onConnected() {}, onResponse: async () => {}, onEnd: refused.resolve })
    assert.equal((await refused.promise).code, 12)
    server.endStreams()
    assert.equal((await ended).code, 0)
    assert.equal(responses.length, 1)
  })

  test('cancelling is told to the server', async t => {
    const closed = Promise.withResolvers<number | undefined>()
    const { port } = await http2Server(t, stream => stream.on('close', () => closed.resolve(stream.rstCode)))
    const { stream, connected } = open(t, `127.0.0.1:${port}`)
    await connected
    stream.cancel()
    assert.equal(await closed.promise, 8)
  })

  test('asks as gRPC does', async t => {
    const seen = Promise.withResolvers<Record<string, unknown>>()
    const { port, server } = await http2Server(t, () => {})
    server.on('stream', (_stream, headers) => seen.resolve({ ...headers }))
    open(t, `dns:///127.0.0.1:${port}`)
    const headers = await seen.promise
    assert.deepEqual(Object.fromEntries(Object.entries(headers).filter(([name]) => name !== ':scheme')), {
      ':method': 'POST',
      ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
      ':authority': `127.0.0.1:${port}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': 'identity',
      'user-agent': `inmesh/${version}`,
    })
  })

  test('holds the next response back until the last one is taken in', async t => {
    const { port } = await http2Server(t, stream => {
      stream.respond(grpcHeaders, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.concat([responseBytes('1'), responseBytes('2')]))
    })
    const { first, responses, release, ended } = open(t, `127.0.0.1:${port}`)
    await first
    assert.deepEqual(
      responses.map(({ nonce }) => nonce),
      ['1'],
    )
    release[0]?.()
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(
      responses.map(({ nonce }) => nonce),
      ['1', '2'],
    )
    release[1]?.()
    assert.deepEqual(await ended, { code: 0, message: '' })
  })

  const ends: readonly [string, (stream: ServerHttp2Stream) => void, XdsStreamStatus][] = [
    [
      'a status in the trailers',
      stream => {
        stream.respond(grpcHeaders, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '7', 'grpc-message': 'no %22node%22' }))
        stream.end()
      },
      { code: 7, message: 'no "node"' },
    ],
    [
      'a status without anything before it',
      stream => stream.respond({ ...grpcHeaders, 'grpc-status': '12', 'grpc-message': 'not here' }, { endStream: true }),
      { code: 12, message: 'not here' },
    ],
    [
      'an answer that is not gRPC',
      stream => {
        stream.respond({ ':status': 503 })
        stream.end('<html>')
      },
      { code: 14, message: 'answered with HTTP status 503' },
    ],
    [
      'an end without a status',
      stream => {
        stream.respond(grpcHeaders)
        stream.end()
      },
      { code: 2, message: 'the stream ended without a status' },
    ],
    ['a reset', stream => stream.close(11), { code: 8, message: 'the stream was reset with HTTP/2 error 11' }],
    [
      'an end within a message',
      stream => {
        stream.respond(grpcHeaders)
        stream.end(responseBytes('1').subarray(0, 7))
      },
      { code: 13, message: 'the stream ended within a message' },
    ],
    [
      'a message that cannot be parsed',
      stream => {
        stream.respond(grpcHeaders)
        stream.write(frameMessage(Buffer.from([0xff, 0xff])))
      },
      { code: 13, message: 'premature EOF' },
    ],
  ]
  for (const [title, onStream, status] of ends) {
    test(`tells ${title}`, async t => {
      const { port } = await http2Server(t, onStream)
      assert.deepEqual(await open(t, `127.0.0.1:${port}`).ended, status)
    })
  }

  test('tells why there is no connection', async t => {
    const closed = createTcpServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    assert.deepEqual(await open(t, `127.0.0.1:${port}`).ended, { code: 14, message: `connect ECONNREFUSED 127.0.0.1:${port}` })
    const { code, message } = await open(t, 'a:b:c').ended
    assert.deepEqual([code, message], [13, '"a:b:c" is no gRPC target'])
  })

  test('a connection that breaks ends the stream', async t => {
    const { port, sessions } = await http2Server(t, stream => stream.respond(grpcHeaders))
    const { connected, ended } = open(t, `127.0.0.1:${port}`)
    await connected
    for (const session of sessions) session.destroy()
    assert.notEqual((await ended).code, 0)
  })

  test('a peer that does not speak HTTP/2 is not a connection, and is given up after 20 s', async t => {
    const { port, sockets } = await tcpServer(t)
    const { clock, ended } = open(t, `127.0.0.1:${port}`)
    await sockets
    clock.advance(20_000)
    assert.deepEqual(await ended, { code: 14, message: 'no connection within 20000 ms' })
  })

  test('a peer that vanished is noticed: a ping after 15 s of silence, 5 s for its answer', async t => {
    const { port, sockets } = await tcpServer(t)
    const { clock, connected, ended } = open(t, `127.0.0.1:${port}`)
    const [socket] = await sockets
    // An empty SETTINGS frame (RFC 9113, section 6.5), and nothing ever after.
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    await connected
    clock.advance(15_000)
    clock.advance(5_000)
    assert.deepEqual(await ended, { code: 14, message: 'no answer to a ping within 5000 ms' })
  })

  test('over TLS, with a certificate of its own, by the roots it is given', async t => {
    const ca = await TestCa.create(t)
    const [serverIdentity, clientIdentity] = await Promise.all([ca.issue('dns:localhost'), ca.issue('url:spiffe://test/client')])
    const peers: string[] = []
    const server = createSecureServer({
      key: serverIdentity.privateKey,
      cert: serverIdentity.certificate,
      ca: ca.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    })
    server.on('session', session => peers.push((session.socket as never as { alpnProtocol: string }).alpnProtocol))
    const { port } = await http2Server(t, stream => stream.respond(grpcHeaders), server)
    const credentials = { kind: 'tls', caCertificateFile: ca.certificateFile, identity: clientIdentity } as const
    await open(t, `localhost:${port}`, credentials).connected
    assert.deepEqual(peers, ['h2'])

    const stranger = await open(t, `127.0.0.1:${port}`, credentials).ended
    assert.equal(stranger.code, 14)
    assert.match(stranger.message, /^Hostname\/IP does not match certificate's altnames/)
    const untrusting = await open(t, `localhost:${port}`, { ...credentials, caCertificateFile: undefined }).ended
    assert.match(untrusting.message, /unable to verify the first certificate|self-signed certificate in certificate chain/)
    const missing = await open(t, `localhost:${port}`, { ...credentials, caCertificateFile: '/nowhere/ca.pem' }).ended
    assert.match(missing.message, /ENOENT: no such file or directory, open '\/nowhere\/ca.pem'/)
  })

  test('shows the tokens that it is given over TLS, and none in plain text (A97)', async t => {
    const ca = await TestCa.create(t)
    const identity = await ca.issue('dns:localhost')
    const token = `e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}.c2ln`
    const path = `${ca.certificateFile}.jwt`
    await writeFile(path, `${token}\n`)
    const shown: unknown[] = []
    const server = createSecureServer({ key: identity.privateKey, cert: identity.certificate })
    server.on('stream', (_stream, headers) => shown.push(headers.authorization))
    const { port } = await http2Server(t, stream => stream.respond(grpcHeaders), server)
    const credentials = { kind: 'tls', caCertificateFile: ca.certificateFile, identity: undefined } as const
    const kind = 'jwt-token-file'
    const clock = new ManualClock()
    await open(t, `localhost:${port}`, credentials, clock, [{ kind, path }]).connected
    assert.deepEqual(shown, [`Bearer ${token}`])

    const missing = await open(t, `localhost:${port}`, credentials, clock, [{ kind, path: '/nowhere/token' }]).ended
    assert.equal(missing.code, 14)
    assert.match(missing.message, /^call_creds: jwt_token_file \/nowhere\/token: ENOENT/)

    const plain: unknown[] = []
    const inPlainText = await http2Server(t, () => {})
    inPlainText.server.on('stream', (_stream, headers) => plain.push(headers))
    const refused = await open(t, `127.0.0.1:${inPlainText.port}`, insecure, clock, [{ kind, path }]).ended
    assert.deepEqual(refused, { code: 16, message: 'call_creds: a token is not sent in plain text' })
    assert.deepEqual(plain, [])
  })

  test('a Unix socket', async t => {
    const path = join(fileURLToPath(new URL('.', import.meta.url)), `ads-${process.pid}.sock`)
    const server = createServer()
    server.on('stream', stream => stream.respond(grpcHeaders))
    const sessions = new Set<{ destroy(): void }>()
    server.on('session', session => sessions.add(session))
    server.listen(path)
    await once(server, 'listening')
    t.after(() => {
      for (const session of sessions) session.destroy()
      server.close()
    })
    await open(t, `unix://${path}`).connected
  })

  test('an open stream does not keep the process alive', async t => {
    const server = await FakeAdsServer.start()
    t.after(() => server.stop())
    const script = `
      import { createMesh } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
      const mesh = await createMesh({ env: { INMESH_CONTROL_PLANE: '${server.target}', INMESH_SERVICE: 'short' } })
      await mesh.fetch('http://nowhere.mesh/').catch(() => {})
      console.log(mesh.status().connected)`
    const child = spawn(process.execPath, ['--conditions=@inmesh/source', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const out = once(child.stdout, 'data')
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.equal(String((await out)[0]), 'true\n')
  })
})
