// Requests whose end two readers could see in different places, and what is too large, before a server that denies /admin.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { plain, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain } from '../support/inbound-model.ts'
import { enforce, exact, header, path, policy } from '../support/rbac-rules.ts'

async function start(t: TestContext, denied = policy(path(exact('/admin')))) {
  const seen: string[] = []
  const app: RequestListener = (request, response) => {
    seen.push(`${request.method} ${request.url}`)
    request.resume().on('end', () => response.end('ok'))
  }
  const { source, port } = await startGated(t, app, undefined)
  source.setInbound(
    'server',
    inboundState(makeChain({ filters: [{ name: 'deny', config: { kind: 'rbac', rbac: enforce('DENY', denied) } }] })),
  )
  return { port, seen }
}

/** All that comes back until the server closes the connection, or has answered `answers` times. */
async function exchange(t: TestContext, port: number, bytes: string, answers = Number.POSITIVE_INFINITY): Promise<string> {
  const socket = await plain(t, port)
  let text = ''
  const done = new Promise<void>(resolve => {
    socket.setEncoding('latin1').on('data', chunk => {
      text += chunk
      if ((text.match(/HTTP\/1\.1 /g)?.length ?? 0) >= answers) resolve()
    })
    socket.on('close', () => resolve())
  })
  socket.write(bytes, 'latin1')
  await done
  return text
}

const smuggled = 'GET /admin HTTP/1.1\r\nhost: a\r\n\r\n'
const post = (headers: string, body: string) => `POST / HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n${body}`

const ambiguous: Readonly<Record<string, string>> = {
  'a length and chunks': post(`content-length: 4\r\ntransfer-encoding: chunked`, `0\r\n\r\n${smuggled}`),
  'chunks and then something else': post('transfer-encoding: chunked, identity', `0\r\n\r\n${smuggled}`),
  'a coding that ends in chunked': post(`transfer-encoding: xchunked\r\ncontent-length: 4`, `0\r\n\r\n${smuggled}`),
  'two lengths': post(`content-length: 4\r\ncontent-length: ${smuggled.length}`, `abcd${smuggled}`),
  'the same length twice': post('content-length: 4\r\ncontent-length: 4', `abcd${smuggled}`),
  'a length with a sign': post('content-length: +4', `abcd${smuggled}`),
  'a length in hexadecimals': post('content-length: 0x4', `abcd${smuggled}`),
  'a line that ends without CR': `GET / HTTP/1.1\nhost: a\n\n${smuggled}`,
  'a CR alone': `GET / HTTP/1.1\r\nhost: a\r\nx: a\rcontent-length: 100\r\n\r\n${smuggled}`,
  'a folded line': `GET / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n 4\r\n\r\nabcd${smuggled}`,
  'a space before the colon': post('content-length : 4', `abcd${smuggled}`),
  'a chunk extension that ends without CR': post('transfer-encoding: chunked', `1;a\na\r\n0\r\n\r\n${smuggled}`),
  'a chunk size that is too large': post('transfer-encoding: chunked', `fffffffffffffffff\r\na\r\n0\r\n\r\n${smuggled}`),
  'a byte that is null': `GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n${smuggled}`,
}

describe('framing', () => {
  for (const [name, bytes] of Object.entries(ambiguous))
    test(`D1: ${name} is a bad request, and the end of its connection`, async t => {
      const { port, seen } = await start(t)
      const text = await exchange(t, port, bytes)
      assert.match(text.split('HTTP/1.1 ').at(-1) ?? '', /^400 /)
      assert.ok(!seen.includes('GET /admin'), `the application saw ${seen}`)
    })

  test('D1: what is well framed goes on, each judged by itself', async t => {
    const { port, seen } = await start(t)
    const text = await exchange(t, port, post('content-length: 4', `abcd${smuggled}${smuggled.replace('admin', 'end')}`), 3)
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 403', 'HTTP/1.1 200'])
    assert.deepEqual(seen, ['POST /', 'GET /end'])
  })

  test('B26: trailers decide nothing', async t => {
    const { port, seen } = await start(t, policy(header('x-user', 'bad')))
    const body = `transfer-encoding: chunked\r\ntrailer: x-user`
    const [good, bad] = ['1\r\na\r\n0\r\nx-user: bad\r\n\r\n', '1\r\na\r\n0\r\nx-user: good\r\n\r\n']
    const text = await exchange(t, port, post(body, good) + post(`${body}\r\nx-user: bad`, bad), 2)
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 403'])
    assert.deepEqual(seen, ['POST /'])
  })
})

describe('floods of headers', () => {
  for (const [name, headers] of Object.entries({
    'one that is large': `x: ${'a'.repeat(64 * 1024)}`,
    'many that are small': Array.from({ length: 8000 }, (_, index) => `x${index}: a`).join('\r\n'),
  }))
    test(`F6: ${name} is 431, and the application hears nothing`, async t => {
      const { port, seen } = await start(t)
      assert.match(await exchange(t, port, `GET / HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n`), /^HTTP\/1\.1 431 /)
      assert.deepEqual(seen, [])
    })

  test('F6: another connection goes on', async t => {
    const { port, seen } = await start(t)
    const socket = await plain(t, port)
    socket.write(`GET / HTTP/1.1\r\nhost: a\r\n${'x: a\r\n'.repeat(20_000)}`)
    assert.match(await exchange(t, port, 'GET /other HTTP/1.1\r\nhost: a\r\n\r\n', 1), /^HTTP\/1\.1 200 /)
    if (!socket.closed) await once(socket, 'close')
    assert.deepEqual(seen, ['GET /other'])
  })
})
