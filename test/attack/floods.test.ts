// Callers who ask for more than they could ever read.
import assert from 'node:assert/strict'
import { type ClientHttp2Session, constants, createServer as createHttp2Server } from 'node:http2'
import { describe, type TestContext, test } from 'node:test'
import { GrpcRegistration } from '../../src/server/grpc-registration.ts'
import { clientTls, gateEnvironment, http2On, listen, plain, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, mutualTls } from '../support/inbound-model.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

async function startHttp2(t: TestContext) {
  const { environment, source } = gateEnvironment(undefined)
  source.setInbound('server', inboundState(makeChain()))
  let served = 0
  const server = createHttp2Server((_request, response) => {
    served++
    response.end('ok')
  })
  const port = await listen(t, server)
  new GrpcRegistration(server, environment)
  return { port, served: () => served }
}

/** Status of a request; 0 when there is no answer. */
async function ask(session: ClientHttp2Session, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const stream = session.request({ ':path': '/', ':authority': 'a', ...headers })
  stream.on('error', () => {}).resume()
  const answer = new Promise<number>(resolve => {
    stream.once('response', ({ ':status': status = 0 }) => resolve(status))
    stream.once('close', () => resolve(0))
  })
  return answer
}

describe('floods over HTTP/2', () => {
  test('F8: a session that resets its streams as fast as it opens them is ended, and no other', async t => {
    const { port } = await startHttp2(t)
    const [good, bad] = [http2On(t, await plain(t, port), 'http'), http2On(t, await plain(t, port), 'http')]
    assert.equal(await ask(good), 200)
    const over = new Promise<void>(resolve => bad.once('close', resolve))
    let opened = 0
    const flood = () => {
      while (!bad.destroyed && !bad.closed && opened < 20_000) {
        opened++
        const stream = bad.request({ ':path': '/', ':authority': 'a' })
        stream.on('error', () => {})
        stream.close(constants.NGHTTP2_CANCEL)
        if (opened % 100 === 0) {
          setImmediate(flood)
          return
        }
      }
    }
    flood()
    await over
    assert.ok(opened < 20_000, `${opened} streams were opened`)
    assert.equal(await ask(good), 200)
  })

  test('F6: more headers than a request may have are refused, without the application', async t => {
    const { port, served } = await startHttp2(t)
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`x-${index}`, 'a']))
    const large = { 'x-large': 'a'.repeat(70_000) }
    for (const headers of [many, large]) {
      const session = http2On(t, await plain(t, port), 'http')
      assert.notEqual(await ask(session, headers), 200)
    }
    assert.equal(served(), 0)
    assert.equal(await ask(http2On(t, await plain(t, port), 'http')), 200)
  })
})

test('A37: TLS 1.2 is not negotiated anew', async t => {
  const authority = await SvidAuthority.create('td')
  const [server, client] = [await authority.identity('/server'), await authority.identity('/client')]
  const { source, port } = await startGated(t, (_request, response) => response.end('ok'), server)
  source.setInbound('server', inboundState(makeChain({ tls: { ...mutualTls, minVersion: 'TLSv1.2' } })))
  const socket = await secured(t, port, { ...clientTls(client, server), maxVersion: 'TLSv1.2' })
  assert.equal(socket.getProtocol(), 'TLSv1.2')
  const outcome = new Promise<unknown>(resolve => {
    socket.once('error', resolve)
    socket.once('close', () => resolve(new Error('closed')))
    socket.renegotiate({}, error => resolve(error))
  })
  assert.ok((await outcome) instanceof Error)
})
