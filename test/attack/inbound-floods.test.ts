import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { constants, createServer as createHttp2Server } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { defaultMaxWaiting } from '../../src/server/connection-gate.ts'
import { Http2Registration } from '../../src/server/http2-registration.ts'
import { ServerRegistration } from '../../src/server/mesh-server.ts'
import { clientTls, gateEnvironment, http2On, listen, plain, requestOn, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, modes } from '../support/inbound-model.ts'
import { enforce, header, policy } from '../support/rbac-rules.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'
import { frame, frameFlag, frameType, literals, requestLiterals, speakHttp2 } from './raw-http2.ts'

const authority = await SvidAuthority.create('td')
const server = await authority.identity('/server')
const client = await authority.identity('/client')

/** Guests may do nothing. */
const noGuests = [{ name: 'rbac', config: { kind: 'rbac' as const, rbac: enforce('DENY', policy(header('x-role', 'guest'))) } }]

/** What a server answers until it closes the connection. */
async function answerOf(socket: Socket, ...chunks: readonly string[]): Promise<string> {
  let answer = ''
  socket.on('error', () => {})
  socket.on('data', chunk => {
    answer += chunk
  })
  const closed = new Promise(resolve => socket.once('close', resolve))
  for (const chunk of chunks) socket.write(chunk, 'latin1')
  await closed
  return answer
}

describe('a flood of headers', () => {
  const floods = {
    'one of 64 KiB': `x: ${'x'.repeat(65_536)}\r\n`,
    'many of 64 KiB together': 'x: 0123456789\r\n'.repeat(4_700),
    'more than are read': 'x:1\r\n'.repeat(2_500),
  }
  for (const [what, flood] of Object.entries(floods)) {
    test(`F6, B14: ${what}: answered with 431, and what comes behind them is not left out of the judgement`, async t => {
      const served: unknown[] = []
      const { source, port } = await startGated(t, ({ headers }) => served.push(headers), server)
      source.setInbound('server', inboundState(...modes.STRICT({ filters: noGuests })))
      const socket = await secured(t, port, clientTls(client, server))
      const answer = await answerOf(socket, `GET / HTTP/1.1\r\nhost: a\r\n${flood}x-role: guest\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 431 /)
      assert.deepEqual(served, [])
    })
  }

  test('B14: a header is read wherever it stands among as many as are read', async t => {
    const { source, port } = await startGated(t, (_request, response) => response.end(), server)
    source.setInbound('server', inboundState(...modes.STRICT({ filters: noGuests })))
    const ask = async (role: string) => {
      const socket = await secured(t, port, clientTls(client, server))
      const answer = await answerOf(
        socket,
        `GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${'x:1\r\n'.repeat(900)}x-role: ${role}\r\n\r\n`,
      )
      return answer.slice(0, 12)
    }
    assert.deepEqual([await ask('guest'), await ask('member')], ['HTTP/1.1 403', 'HTTP/1.1 200'])
  })
})

/** An HTTP/2 server behind the gate. */
async function startHttp2(t: TestContext, filters: Parameters<typeof modes.DISABLE>[0] = {}) {
  const world = gateEnvironment(undefined)
  let served = 0
  const http2 = createHttp2Server((_request, response) => {
    served++
    response.end('x')
  })
  const port = await listen(t, http2)
  new Http2Registration(http2, world.environment)
  world.source.setInbound('server', inboundState(...modes.DISABLE(filters)))
  const isServing = async () => {
    const stream = http2On(t, await plain(t, port), 'http').request({ ':path': '/' })
    return (await text(stream)) === 'x'
  }
  return { ...world, port, served: () => served, isServing }
}

describe('floods of HTTP/2', () => {
  test('F6: CONTINUATION without end closes the connection', async t => {
    const { port, served, isServing } = await startHttp2(t)
    const socket = await plain(t, port)
    const { closed } = speakHttp2(socket)
    socket.write(frame(frameType.headers, frameFlag.endStream, 1, requestLiterals))
    const more = frame(frameType.continuation, 0, 1, literals([['x', 'y'.repeat(100)]]))
    const flood = Buffer.concat(Array.from({ length: 100 }, () => more))
    const write = () => {
      while (!socket.destroyed && socket.write(flood));
    }
    socket.on('drain', write)
    write()
    await closed
    assert.equal(served(), 0)
    assert.equal(await isServing(), true)
  })

  test('F6, B14: cookies in more crumbs than are read are no request', async t => {
    const { port, served, isServing } = await startHttp2(t, { filters: noGuests })
    const socket = await plain(t, port)
    const { types } = speakHttp2(socket)
    const crumbs = literals(Array.from({ length: 500 }, () => ['cookie', 'a=b'] as const))
    const block = Buffer.concat([requestLiterals, crumbs, literals([['x-role', 'guest']])])
    socket.write(frame(frameType.headers, frameFlag.endStream | frameFlag.endHeaders, 1, block))
    await until(() => types.includes(frameType.rstStream) || types.includes(frameType.goaway))
    assert.equal(types.includes(frameType.headers), false, 'there is no answer')
    assert.equal(served(), 0)
    assert.equal(await isServing(), true)
  })

  test('F8: a client that resets its requests as fast as it makes them loses its connection, and leaves nothing behind', async t => {
    const { port, served, telemetry, isServing } = await startHttp2(t)
    const socket = await plain(t, port)
    const { closed, types } = speakHttp2(socket)
    const cancel = Buffer.alloc(4)
    cancel.writeUInt32BE(constants.NGHTTP2_CANCEL)
    const requests = 20_000
    for (let stream = 1; stream < 2 * requests && !socket.destroyed; stream += 2)
      socket.write(
        Buffer.concat([
          frame(frameType.headers, frameFlag.endStream | frameFlag.endHeaders, stream, requestLiterals),
          frame(frameType.rstStream, 0, stream, cancel),
        ]),
      )
    await closed
    assert.ok(types.includes(frameType.goaway))
    assert.ok(served() < requests / 5, `${served()} of ${requests} were served`)
    assert.equal(await isServing(), true)
    await until(() => telemetry.stats.inbound.active === 0)
  })
})

describe('slow requests', () => {
  /** A server whose times are short, behind the gate. */
  async function startImpatient(t: TestContext) {
    const world = gateEnvironment(server)
    const { inbound } = world.environment
    let served = 0
    const times = { headersTimeout: 40, requestTimeout: 80, connectionsCheckingInterval: 10 }
    const http = createServer(times, (request, response) =>
      inbound.serve(request, response, async () => {
        served++
        await text(request)
        response.end()
      }),
    )
    new ServerRegistration(http, world.environment)
    const port = await listen(t, http)
    world.source.setInbound('server', inboundState(...modes.STRICT()))
    return { ...world, port, served: () => served }
  }

  test('F7: headers that do not end are answered with 408, also where the mesh did the handshake', async t => {
    const { port, served } = await startImpatient(t)
    const socket = await secured(t, port, clientTls(client, server))
    assert.match(await answerOf(socket, 'GET / HTTP/1.1\r\nhost: a\r\nx: '), /^HTTP\/1\.1 408 /)
    assert.equal(served(), 0)
  })

  test('F7: a body that does not end ends its connection, and its request', async t => {
    const { port, served, telemetry } = await startImpatient(t)
    const socket = await secured(t, port, clientTls(client, server))
    await answerOf(socket, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx')
    assert.equal(served(), 1)
    await until(() => telemetry.stats.inbound.active === 0)
  })

  test('F7: servers of the mesh have limits for both', async t => {
    const { server: http } = await startGated(t, () => {}, server)
    assert.ok(http.headersTimeout > 0 && http.headersTimeout <= 60_000)
    assert.ok(http.requestTimeout > 0 && http.requestTimeout <= 300_000)
  })
})

describe('floods of connections', () => {
  test('F19, F14, A35: of those that say nothing so many are kept, by default 1,024, and who has been let in before is served', async t => {
    // A process may not be allowed as many files as the default and its clients would be here.
    const [maxWaiting, clients] = [24, 60]
    assert.equal(defaultMaxWaiting, 1024)
    const answer: RequestListener = (_request, response) => response.end()
    const { source, port, clock, server: http, warned } = await startGated(t, answer, server, { maxWaiting })
    source.setInbound('server', inboundState(...modes.PERMISSIVE()))
    const early = await secured(t, port, clientTls(client, server))
    const accepted = () => new Promise<number>(resolve => http.getConnections((_error, count) => resolve(count)))
    let [connected, open] = [0, clients]
    for (let number = 0; number < clients; number++) {
      const socket = connect(port, '127.0.0.1', () => connected++)
      t.after(() => socket.destroy())
      socket.on('error', () => {})
      socket.resume().once('close', () => open--)
    }
    await until(() => connected === clients && open === maxWaiting)
    assert.equal(await accepted(), maxWaiting + 1)
    assert.equal((await requestOn(early)).response.statusCode, 200)
    clock.advance(10_000)
    await until(() => open === 0)
    const late = await secured(t, port, clientTls(client, server))
    assert.equal((await requestOn(late)).response.statusCode, 200)
    assert.deepEqual(warned, [])
  })

  test('F14: who is refused is nothing that an operator is woken for', async t => {
    const { source, port, told, warned } = await startGated(t, () => {}, server)
    source.setInbound('server', inboundState(...modes.STRICT()))
    for (let round = 0; round < 50; round++) await answerOf(await plain(t, port), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await until(() => told.filter(each => / is refused: /.test(each)).length === 50)
    assert.deepEqual(warned, [])
  })

  test('F19: the limit that an application has set holds behind the gate', async t => {
    const { source, port, server: http } = await startGated(t, (_request, response) => response.end(), server)
    http.maxConnections = 2
    source.setInbound('server', inboundState(makeChain()))
    const two = [await plain(t, port), await plain(t, port)]
    for (const socket of two) assert.equal((await requestOn(socket)).response.statusCode, 200)
    const [third] = await Promise.all([plain(t, port)])
    third.resume()
    await once(third, 'close')
  })
})
