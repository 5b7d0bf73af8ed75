import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer as createNetServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { Http2Registration } from '../../src/server/http2-registration.ts'
import { gateEnvironment, http2On, listen, plain, startGated } from '../support/gated-server.ts'
import { inboundState, modes } from '../support/inbound-model.ts'
import { enforce, exact, header, path, policy } from '../support/rbac-rules.ts'

const rbac = (...given: Parameters<typeof enforce>) => ({
  name: 'rbac',
  config: { kind: 'rbac' as const, rbac: enforce(...given) },
})

/** A server that denies `/admin`, and tells what reaches its application. */
async function start(t: TestContext, filters = [rbac('DENY', policy(path(exact('/admin'))))]) {
  const served: string[] = []
  const app: RequestListener = async (request, response) => {
    served.push(`${request.method} ${request.url} ${await text(request).catch(String)}`)
    response.end()
  }
  const world = await startGated(t, app, undefined)
  world.source.setInbound('server', inboundState(...modes.DISABLE({ filters })))
  /** What comes back until the server closes the connection. */
  const send = async (bytes: string): Promise<string> => {
    const socket = await plain(t, world.port)
    let answer = ''
    socket.on('data', chunk => {
      answer += chunk
    })
    const closed = once(socket, 'close')
    socket.end(bytes, 'latin1')
    await closed
    return answer
  }
  return { ...world, served, send }
}

describe('D1: framing that can be read in two ways is refused with its connection', () => {
  const smuggled = 'GET /admin HTTP/1.1\r\nhost: a\r\n\r\n'
  const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
  const withLength = (headers: string) => `POST / HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n0\r\n\r\n${smuggled}`
  const ambiguous = {
    'a length and chunks': withLength('content-length: 5\r\ntransfer-encoding: chunked'),
    'chunks and a length': withLength('transfer-encoding: chunked\r\ncontent-length: 5'),
    'chunks that are not the last coding': withLength('transfer-encoding: chunked, identity'),
    'an unknown coding and a length': withLength('transfer-encoding: xchunked\r\ncontent-length: 5'),
    'two codings in two lines': withLength('transfer-encoding: chunked\r\ntransfer-encoding: identity'),
    'a coding behind a tab': withLength('transfer-encoding:\tchunked\r\ncontent-length: 5'),
    'two lengths': withLength('content-length: 5\r\ncontent-length: 6'),
    'two equal lengths': withLength('content-length: 5\r\ncontent-length: 5'),
    'a list of lengths': withLength('content-length: 5, 5'),
    'a length with a sign': withLength('content-length: +5'),
    'a negative length': withLength('content-length: -5'),
    'a hexadecimal length': withLength('content-length: 0x5'),
    'an empty length': withLength('content-length: '),
    'a space before the colon': withLength('content-length : 5'),
    'a folded line': withLength('x: a\r\n content-length: 5'),
    'a lone CR': withLength('x: a\rcontent-length: 5'),
    'NUL in a value': withLength('x: a\0b\r\ncontent-length: 5'),
    'a size of a chunk with a sign': `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n+${chunk}`,
    'a size of a chunk with 0x': `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x${chunk}`,
    'a line that ends in LF behind an extension': `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;x\nabcde\r\n0\r\n\r\n`,
    'a chunk longer than it says': `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabcde\r\n0\r\n\r\n`,
  }
  for (const [what, bytes] of Object.entries(ambiguous)) {
    test(what, async t => {
      const { send, served } = await start(t)
      const answer = await send(bytes)
      const statuses = answer.match(/HTTP\/1\.1 \d+/g) ?? []
      assert.equal(statuses.at(-1), 'HTTP/1.1 400', answer)
      assert.equal(
        served.some(each => each.includes('/admin')),
        false,
        served.join(),
      )
    })
  }

  test('and what can be read in one way is not', async t => {
    const { send, served } = await start(t)
    const answer = await send(
      `POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${chunk}POST /b HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nabcde`,
    )
    assert.equal(answer.match(/HTTP\/1\.1 200/g)?.length, 2)
    assert.deepEqual(served, [`POST /a ${smuggled}`, 'POST /b abcde'])
  })
})

test('B26: what stands in trailers grants nothing', async t => {
  const { send, served } = await start(t, [rbac('ALLOW', policy(header('x-role', 'admin')))])
  const request = (where: 'header' | 'trailer') => {
    const role = 'x-role: admin\r\n'
    const [before, after] = where === 'header' ? [role, ''] : ['', role]
    return `POST /${where} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${before}trailer: x-role\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${after}\r\n`
  }
  assert.match(await send(request('trailer')), /^HTTP\/1\.1 403/)
  assert.match(await send(request('header')), /^HTTP\/1\.1 200/)
  assert.deepEqual(served, ['POST /header a'])
})

test('B29: a connection that another listener of the process hands to the server is judged like its own', async t => {
  const { server, served } = await start(t)
  const other = createNetServer(socket => void server.emit('connection', socket))
  const port = await listen(t, other)
  const ask = async (target: string) => {
    const socket = await plain(t, port)
    socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`)
    return (await text(socket)).slice(0, 12)
  }
  assert.deepEqual([await ask('/admin'), await ask('/other')], ['HTTP/1.1 403', 'HTTP/1.1 200'])
  assert.deepEqual(served, ['GET /other '])
})

describe('F15: names that every object has', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']

  for (const name of names) {
    test(`${name} as a header of HTTP/1: judged, and no more than a header`, async t => {
      const { send, served } = await start(t, [rbac('DENY', policy(header(name.toLowerCase(), 'x')))])
      const ask = async (value: string) =>
        (await send(`GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${name}: ${value}\r\n${name}: y\r\n\r\n`)).slice(0, 12)
      assert.deepEqual([await ask('x'), await ask('z')], ['HTTP/1.1 403', 'HTTP/1.1 200'])
      assert.equal(served.length, 1)
      assert.equal(Object.hasOwn(Object.prototype, 'x'), false)
    })

    test(`${name} as a header that is not there: not matched by what every object inherits`, async t => {
      const present = header(name.toLowerCase(), { kind: 'regex', regex: '.*' })
      const { send } = await start(t, [rbac('DENY', policy(present))])
      assert.match(await send('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 200/)
    })
  }

  test('as headers of HTTP/2', async t => {
    const world = gateEnvironment(undefined)
    const http2 = createHttp2Server((_request, response) => response.end('x'))
    const port = await listen(t, http2)
    new Http2Registration(http2, world.environment)
    const filters = [rbac('DENY', ...names.map(name => policy(header(name.toLowerCase(), 'x'))))]
    world.source.setInbound('server', inboundState(...modes.DISABLE({ filters })))
    const session = http2On(t, await plain(t, port), 'http')
    const ask = async (headers: Readonly<Record<string, string>>) => {
      const stream = session.request(Object.assign(Object.create(null), { ':path': '/' }, headers))
      const [{ ':status': status }] = await once(stream, 'response')
      stream.resume()
      return status
    }
    for (const name of names) {
      const headers: Record<string, string> = Object.create(null)
      headers[name.toLowerCase()] = 'x'
      assert.equal(await ask(headers), 403, name)
    }
    assert.equal(await ask({}), 200)
  })
})
