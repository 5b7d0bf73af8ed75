import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp2Server, createSecureServer } from 'node:http2'
import type { Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Http2Registration } from '../../src/server/http2-registration.ts'
import { clientTls, gateEnvironment, http2On, listen, plain, requestOn, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, modes, mutualTls } from '../support/inbound-model.ts'
import { KeyUsageFlags, SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'

const authority = await SvidAuthority.create('td')
const server = await authority.identity('/server')
const client = await authority.identity('/client')

const hello: Parameters<typeof startGated>[1] = (request, response) => {
  response.end(`${request.url} ${String(request.headers['x-forwarded-client-cert'])}`)
}

const get = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'

/** Whether a connection gets an answer before it is closed. */
function isAnswered(socket: Socket): Promise<boolean> {
  socket.on('error', () => {})
  socket.write(get)
  return new Promise(resolve => {
    socket.once('close', () => resolve(false))
    socket.once('data', data => {
      resolve(String(data).startsWith('HTTP/1.1 200'))
      socket.destroy()
    })
  })
}

const answers = (port: number, options: ReturnType<typeof clientTls>): Promise<boolean> =>
  isAnswered(connectTls({ ALPNProtocols: ['http/1.1'], ...options, port }))

const answersPlain = async (t: TestContext, port: number): Promise<boolean> => isAnswered(await plain(t, port))

describe('STRICT', () => {
  test('a workload of the mesh is served, and the application learns who it is', async t => {
    const { source, port } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    const socket = await secured(t, port, clientTls(client, server))
    const { body } = await requestOn(socket, '/x', { 'x-forwarded-client-cert': 'URI=spiffe://td/admin' })
    assert.match(body, /^\/x By=spiffe:\/\/td\/server;Hash=[0-9a-f]{64};Subject="CN=leaf";URI=spiffe:\/\/td\/client$/)
    assert.equal(socket.getProtocol(), 'TLSv1.3')
  })

  test('A27: plaintext is closed before the application parses a byte', async t => {
    let served = 0
    const { source, port } = await startGated(t, () => served++, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    assert.equal(await answersPlain(t, port), false)
    assert.equal(served, 0)
  })

  test('A28: TLS without a certificate fails', async t => {
    const { source, port } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    assert.equal(await answers(port, clientTls(undefined, server)), false)
  })

  const wrong = [
    ['A1: a leaf that is an authority', () => authority.issue('/client', { isCa: true })],
    [
      'A2: a leaf that signs certificates',
      () =>
        authority.issue('/client', {
          keyUsage: { usages: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign, isCritical: true },
        }),
    ],
    ['A3: two URI SANs', () => authority.issue('/client', { names: ['url:spiffe://td/a', 'url:spiffe://td/admin'] })],
    ['A4: no URI SAN', () => authority.issue('/client', { names: [], subject: 'CN=spiffe://td/admin' })],
    ['A12: a trust domain without a bundle', () => authority.issue('/x', { names: ['url:spiffe://other/x'] })],
    ['A10: an expired certificate', () => authority.issue('/client', { notAfter: new Date(Date.now() - 120_000) })],
    ['A12: an authority that is not trusted', async () => (await SvidAuthority.create('td')).issue('/client')],
  ] as const
  for (const [name, issue] of wrong) {
    test(`${name} is refused`, async t => {
      const { source, port } = await startGated(t, hello, server)
      source.setInbound('server', inboundState(...modes.STRICT()))
      const { certificate, privateKey } = await issue()
      const identity = { ...client, svid: { ...client.svid, certificateChain: [certificate], privateKey } }
      assert.equal(await answers(port, clientTls(identity, server)), false)
      assert.equal(await answers(port, clientTls(client, server)), true, 'and others are still served')
    })
  }

  test('A22: TLS 1.2 is refused, unless it is configured', async t => {
    const { source, port } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    assert.equal(await answers(port, { ...clientTls(client, server), maxVersion: 'TLSv1.2' }), false)
    source.setInbound('server', inboundState(makeChain({ tls: { ...mutualTls, minVersion: 'TLSv1.2' } })))
    assert.equal(await answers(port, { ...clientTls(client, server), maxVersion: 'TLSv1.2' }), true)
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`A23: a session of ${version} is never resumed`, async t => {
      const { source, port } = await startGated(t, hello, server)
      source.setInbound('server', inboundState(makeChain({ tls: { ...mutualTls, minVersion: 'TLSv1.2' } })))
      const options = { ...clientTls(client, server), maxVersion: version }
      const first = await secured(t, port, options)
      await requestOn(first)
      const session = first.getSession()
      const second = await secured(t, port, { ...options, ...(session === undefined ? undefined : { session }) })
      assert.equal(second.isSessionReused(), false)
    })
  }

  test('A35: a client that goes away during the handshake leaves nothing behind', async t => {
    const { source, server: listening, port } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    for (let round = 0; round < 20; round++) {
      const socket = connectTls({ ...clientTls(undefined, server), port })
      socket.on('error', () => {})
      await once(socket, 'secureConnect')
      socket.destroy()
    }
    const open = () => new Promise<number>(resolve => listening.getConnections((_error, count) => resolve(count)))
    await until(async () => (await open()) === 0)
  })

  test('A34: a client that speaks something else is refused', async t => {
    const { source, port } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    assert.equal(await answers(port, { ...clientTls(client, server), ALPNProtocols: ['h2'] }), false)
  })

  test('a client whose name is none of the given is refused', async t => {
    const { source, port } = await startGated(t, hello, server)
    const name = { type: 'uri' as const, matcher: { kind: 'exact' as const, value: 'spiffe://td/other', ignoreCase: false } }
    source.setInbound('server', inboundState(makeChain({ tls: { ...mutualTls, subjectAltNames: [name] } })))
    assert.equal(await answers(port, clientTls(client, server)), false)
  })

  test('a server without its certificate takes nobody', async t => {
    const { source, port, provider } = await startGated(t, hello, undefined)
    source.setInbound('server', inboundState(...modes.STRICT()))
    assert.equal(await answers(port, clientTls(client, server)), false)
    provider.set(server)
    assert.equal(await answers(port, clientTls(client, server)), true)
  })
})

test('A10: a server whose certificate has expired takes nobody, and says why', async t => {
  const { source, port, provider, told } = await startGated(t, hello, server)
  source.setInbound('server', inboundState(...modes.STRICT()))
  provider.set(await authority.identity('/server', [], { notAfter: new Date(Date.now() - 1) }))
  assert.equal(await answers(port, clientTls(client, server)), false)
  assert.ok(
    told.some(message => /has expired/.test(message)),
    told.join(),
  )
})

describe('PERMISSIVE', () => {
  test('A29: one port takes both, and only a certificate says who', async t => {
    const { source, port, telemetry } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const both = [await secured(t, port, clientTls(client, server)), await plain(t, port)]
    const bodies = await Promise.all(
      both.map(async socket => (await requestOn(socket, '/', { 'x-forwarded-client-cert': 'URI=spiffe://td/admin' })).body),
    )
    assert.match(bodies[0] ?? '', /URI=spiffe:\/\/td\/client$/)
    assert.equal(bodies[1], '/ undefined')
    await until(() => telemetry.stats.inbound.active === 0)
    const duration = telemetry.stats.collect().find(({ name }) => name === 'http.server.request.duration')
    const sources = duration?.points.map(({ attributes }) => [
      attributes['inmesh.connection.security_policy'],
      attributes['inmesh.source.principal'],
    ])
    assert.deepEqual(sources?.sort(), [
      ['mutual_tls', 'spiffe://td/client'],
      ['none', undefined],
    ])
  })

  test('A36: one byte of a ClientHello at a time', async t => {
    const { source, port } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const raw = await plain(t, port)
    const write = raw.write.bind(raw)
    raw.setNoDelay(true)
    raw.write = ((data: Buffer) => {
      for (const byte of data) write(Buffer.of(byte))
      return true
    }) as typeof raw.write
    const socket = connectTls({ ALPNProtocols: ['http/1.1'], ...clientTls(client, server), socket: raw })
    await once(socket, 'secureConnect')
    const { response } = await requestOn(socket)
    assert.equal(response.statusCode, 200)
  })

  test('A36: who says nothing is let go after 10 s', async t => {
    const { source, port, clock } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const socket = await plain(t, port)
    socket.resume()
    await until(() => clock.pendingTimers > 0)
    clock.advance(9_999)
    assert.equal(socket.destroyed, false)
    clock.advance(1)
    await once(socket, 'close')
  })

  test('A30: plain connections do not outlive the switch to STRICT', async t => {
    const { source, port, clock } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const [old, kept] = [await plain(t, port), await secured(t, port, clientTls(client, server))]
    await requestOn(old)
    await requestOn(kept)
    source.setInbound('server', inboundState(...modes.STRICT()))
    const { response } = await requestOn(old)
    assert.equal(response.headers.connection, 'close', 'what was on its way is answered')
    await once(old, 'close')
    clock.advance(60_000)
    assert.equal((await requestOn(kept)).response.statusCode, 200, 'mutual TLS goes on, on the same connection')
    assert.equal(await answersPlain(t, port), false)
  })

  test('A30: an idle plain connection is closed after 5 s', async t => {
    const { source, port, clock } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const old = await plain(t, port)
    await requestOn(old)
    source.setInbound('server', inboundState(...modes.STRICT()))
    clock.advance(5_000)
    await once(old, 'close')
  })
})

describe('a listener', () => {
  test('is waited for', async t => {
    const { source, port } = await startGated(t, hello, server)
    const socket = await plain(t, port)
    const answer = requestOn(socket)
    source.setInbound('server', inboundState(...modes.DISABLE()))
    assert.equal((await answer).response.statusCode, 200)
  })

  test('that does not exist: the server does not serve, and does when it comes', async t => {
    const { source, port, told } = await startGated(t, hello, server)
    source.setInbound('server', { kind: 'failed', reason: 'does-not-exist', message: 'there is none' })
    assert.equal(await answersPlain(t, port), false)
    assert.ok(told.some(message => /is not serving: there is none/.test(message)))
    source.setInbound('server', inboundState(...modes.DISABLE()))
    assert.equal(await answersPlain(t, port), true)
  })

  test('that is not required and does not exist: served as without; taken away later: not', async t => {
    const { source, port } = await startGated(t, hello, server, { requiresListener: false })
    source.setInbound('server', { kind: 'failed', reason: 'does-not-exist', message: 'there is none' })
    assert.equal(await answersPlain(t, port), true)
    source.setInbound('server', inboundState(...modes.DISABLE()))
    source.setInbound('server', { kind: 'failed', reason: 'does-not-exist', message: 'it is gone' })
    assert.equal(await answersPlain(t, port), false)
  })

  test('B4: that is invalid is never the same as none', async t => {
    const { source, port } = await startGated(t, hello, server, { requiresListener: false })
    source.setInbound('server', { kind: 'failed', reason: 'invalid', message: 'bad' })
    assert.equal(await answersPlain(t, port), false)
  })

  test('of another address is not taken (A36)', async t => {
    const { source, port } = await startGated(t, hello, server)
    const state = inboundState(...modes.DISABLE())
    assert.ok(state.kind === 'ready')
    source.setInbound('server', { ...state, listener: { ...state.listener, address: { address: '127.0.0.1', port: port + 1 } } })
    assert.equal(await answersPlain(t, port), false)
    source.setInbound('server', { ...state, listener: { ...state.listener, address: { address: '127.0.0.1', port } } })
    assert.equal(await answersPlain(t, port), true)
  })
})

describe('rotation', () => {
  test('A16: connections live on, and new ones see the new certificate', async t => {
    const { source, port, provider } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    const old = await secured(t, port, clientTls(client, server))
    await requestOn(old)
    const renewed = await authority.identity('/server')
    provider.set(renewed)
    const fresh = await secured(t, port, clientTls(client, server))
    assert.deepEqual(fresh.getPeerX509Certificate()?.raw, renewed.svid.certificateChain[0]?.raw)
    assert.equal((await requestOn(old)).response.statusCode, 200)
  })

  test('A17: connections under a removed root are closed within 30 s', async t => {
    const { source, port, provider, clock } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    const old = await secured(t, port, clientTls(client, server))
    await requestOn(old)
    const next = await SvidAuthority.create('td')
    provider.set(await next.identity('/server'))
    clock.advance(30_000)
    await once(old, 'close')
  })

  test('A11: a connection does not outlive the certificate of its client', async t => {
    const { source, port, clock } = await startGated(t, hello, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    const short = await authority.identity('/client', [], { notAfter: new Date(Date.now() + 30_000) })
    const old = await secured(t, port, clientTls(short, server))
    await requestOn(old)
    clock.advance(29_000)
    assert.equal((await requestOn(old)).response.statusCode, 200)
    clock.advance(100_000)
    await once(old, 'close')
  })
})

describe('HTTP/2', () => {
  test('is served by mutual TLS, and refused without ALPN', async t => {
    const world = gateEnvironment(server)
    world.source.setInbound('server', inboundState(...modes.STRICT()))
    const http2 = createHttp2Server((request, response) => response.end(String(request.headers['x-forwarded-client-cert'])))
    const port = await listen(t, http2)
    new Http2Registration(http2, world.environment)
    const session = http2On(t, await secured(t, port, { ...clientTls(client, server), ALPNProtocols: ['h2'] }))
    const stream = session.request({ ':path': '/' })
    const [headers] = await once(stream, 'response')
    stream.setEncoding('utf8')
    const [body] = await once(stream, 'data')
    assert.equal(headers[':status'], 200)
    assert.match(body, /URI=spiffe:\/\/td\/client$/)
    const without = connectTls({ ...clientTls(client, server), port })
    without.on('error', () => {})
    await once(without, 'close')
  })

  test('A30: a plain session gets a GOAWAY when the listener no longer takes it', async t => {
    const world = gateEnvironment(server)
    world.source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const http2 = createHttp2Server((_request, response) => response.end('x'))
    const port = await listen(t, http2)
    new Http2Registration(http2, world.environment)
    const session = http2On(t, await plain(t, port), 'http')
    const stream = session.request({ ':path': '/' }).resume()
    await once(stream, 'end')
    world.source.setInbound('server', inboundState(...modes.STRICT()))
    await once(session, 'close')
  })
})

test('drained: a client that never hangs up is cut off at the deadline, also where the gate does the handshake of a server with TLS', async t => {
  const { environment, source, clock } = gateEnvironment(server)
  source.setInbound('server', inboundState(...modes.STRICT()))
  const http2 = createSecureServer({}, () => {})
  const port = await listen(t, http2)
  const registration = new Http2Registration(http2, environment)
  const options = { ...clientTls(client, server), ALPNProtocols: ['h2'], allowHalfOpen: true, port }
  const peer = connectTls(options)
  t.after(() => peer.destroy())
  peer.on('error', () => {})
  await once(peer, 'secureConnect')
  peer.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]))
  await once(peer, 'readable')
  const drained = registration.drain({ propagationMs: 500, deadlineMs: 1000 })
  clock.advance(500)
  await until(() => !http2.listening)
  clock.advance(1000)
  await drained
})
