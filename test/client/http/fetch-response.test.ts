import { describe } from 'node:test'
import zlib from 'node:zlib'
import { type Case, compare, describeResponse } from './fetch-oracle.ts'

const init = (value: unknown) => value as RequestInit

const plain: Case[] = [
  ...[
    200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 304, 400, 401, 403, 404, 405, 407, 408, 418, 421, 429, 500, 502, 503, 504,
    599,
  ].flatMap((status): Case[] => [
    { name: `status ${status}`, serve: (_request, response) => response.writeHead(status).end('body') },
    {
      name: `status ${status} to HEAD`,
      init: () => init({ method: 'HEAD' }),
      serve: (_request, response) => response.writeHead(status).end(),
    },
    {
      name: `status ${status} to a POST of a stream`,
      init: () => init({ method: 'POST', body: new Response('x').body, duplex: 'half' }),
      serve: (_request, response) => response.writeHead(status, { 'www-authenticate': 'Basic' }).end('body'),
    },
  ]),
  { name: 'status text of its own', serve: (_request, response) => response.writeHead(200, 'Très bien', {}).end() },
  {
    name: 'no status text',
    serve: (request, response) => request.socket.end('HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n') && response,
  },
  {
    name: 'early hints',
    serve: (_request, response) => response.writeEarlyHints({ link: '</x>; rel=preload' }, () => response.end('late')),
  },
  {
    name: 'continue and processing',
    serve: (_request, response) => {
      response.writeContinue()
      response.writeProcessing()
      response.end('x')
    },
  },
  {
    name: 'repeated headers',
    serve: (_request, response) =>
      response.writeHead(200, ['set-cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-A', '1', 'x-a', '2', 'vary', 'a', 'Vary', 'b']).end(),
  },
  { name: 'header beyond ASCII', serve: (_request, response) => response.writeHead(200, { 'x-l': 'é', 'x-empty': '' }).end() },
  {
    name: 'header named like a member of objects',
    serve: (_request, response) => response.writeHead(200, { constructor: 'x', tostring: 'y' }).end(),
  },
  {
    name: 'chunked body',
    serve: (_request, response) => {
      response.write('one')
      response.end('two')
    },
  },
  {
    name: 'empty chunked body',
    serve: (_request, response) => {
      response.flushHeaders()
      response.end()
    },
  },
  { name: 'long body', serve: (_request, response) => response.end(Buffer.alloc(1_000_000, 'long')) },
  {
    name: 'trailers',
    serve: (_request, response) => {
      response.write('x')
      response.addTrailers({ 'x-t': '1' })
      response.end()
    },
  },
  {
    name: 'body until the connection ends',
    serve: request => request.socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody'),
  },
]

const text = 'some text to compress, some text to compress. '.repeat(50)
const { gzipSync, deflateSync, deflateRawSync, brotliCompressSync, zstdCompressSync } = zlib

const codings: Record<string, [coding: string, body: Buffer | string]> = {
  gzip: ['gzip', gzipSync(text)],
  'x-gzip in capitals': ['X-GZIP', gzipSync(text)],
  deflate: ['deflate', deflateSync(text)],
  'raw deflate': ['deflate', deflateRawSync(text)],
  br: ['br', brotliCompressSync(text)],
  zstd: ['zstd', zstdCompressSync(text)],
  'gzip, then br': ['gzip, br', brotliCompressSync(gzipSync(text))],
  'br, then raw deflate': ['br,deflate', deflateRawSync(brotliCompressSync(text))],
  'deflate, then zstd, then gzip': ['deflate, zstd, gzip', gzipSync(zstdCompressSync(deflateSync(text)))],
  'five codings': ['gzip,gzip,gzip,gzip,gzip', [1, 2, 3, 4, 5].reduce(body => gzipSync(body), Buffer.from(text))],
  'six codings': ['gzip,gzip,gzip,gzip,gzip,gzip', 'x'],
  identity: ['identity', text],
  unknown: ['rot13', text],
  'unknown among known': ['gzip, rot13', text],
  'empty coding': ['', text],
  'stray comma': ['gzip,', gzipSync(text)],
  'gzip cut off': ['gzip', gzipSync(text).subarray(0, 40)],
  'gzip cut off in its end': ['gzip', gzipSync(text).subarray(0, -3)],
  'deflate cut off': ['deflate', deflateSync(text).subarray(0, 20)],
  'raw deflate cut off': ['deflate', deflateRawSync(text).subarray(0, 20)],
  'br cut off': ['br', brotliCompressSync(text).subarray(0, 20)],
  'zstd cut off': ['zstd', zstdCompressSync(text).subarray(0, 30)],
  'gzip that is none': ['gzip', 'plain text'],
  'deflate that is none': ['deflate', '\xff\xff\xff\xff'],
  'br that is none': ['br', 'plain text'],
  'zstd that is none': ['zstd', 'plain text'],
  'gzip with a wrong sum': ['gzip', Buffer.concat([gzipSync(text).subarray(0, -8), Buffer.alloc(8)])],
  'two gzip members': ['gzip', Buffer.concat([gzipSync('one'), gzipSync('two')])],
  'gzip and rubbish': ['gzip', Buffer.concat([gzipSync('one'), Buffer.from('rubbish')])],
  'gzip of nothing': ['gzip', gzipSync('')],
  'nothing as gzip': ['gzip', ''],
  'nothing as br': ['br', ''],
  'nothing as deflate': ['deflate', ''],
  'nothing as gzip, br': ['gzip, br', ''],
  'gzip of much': ['gzip', gzipSync(Buffer.alloc(3_000_000, text))],
  'raw deflate of much': ['deflate', deflateRawSync(Buffer.alloc(3_000_000, text))],
  'gzip that does not shrink': ['gzip', gzipSync(Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251)))],
}

const compressed: Case[] = Object.entries(codings).flatMap(([name, [coding, body]]): Case[] => {
  const headers = { 'content-encoding': coding }
  return [
    { name: `coding: ${name}`, serve: (_request, response) => response.writeHead(200, headers).end(body) },
    {
      name: `coding: ${name}, in small chunks`,
      serve: (_request, response) => {
        response.writeHead(200, headers)
        const bytes = Buffer.from(body)
        for (let at = 0; at < Math.min(bytes.length, 3000); at += 30) response.write(bytes.subarray(at, Math.min(at + 30, 3000)))
        response.end(bytes.subarray(3000))
      },
    },
    {
      name: `coding: ${name}, to HEAD`,
      init: () => init({ method: 'HEAD' }),
      serve: (_request, response) => response.writeHead(200, headers).end(),
    },
    { name: `coding: ${name}, with 404`, serve: (_request, response) => response.writeHead(404, headers).end(body) },
    { name: `coding: ${name}, with 204`, serve: (_request, response) => response.writeHead(204, headers).end() },
  ]
})

const raw =
  (head: string): NonNullable<Case['serve']> =>
  request =>
    request.socket.end(head, 'latin1')

/** Answers that break off. */
const broken: readonly Case[] = [
  { name: 'closed before the headers', serve: request => void request.socket.destroy() },
  { name: 'closed in the headers', serve: raw('HTTP/1.1 200 OK\r\ncontent-le') },
  { name: 'closed in a body of known length', serve: raw('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc') },
  { name: 'closed in a chunked body', serve: raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n') },
  {
    name: 'closed in a compressed body',
    serve: raw('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 90\r\n\r\n\x1f\x8b\b\0\0\0\0\0\0\x03'),
  },
  { name: 'not HTTP', serve: raw('SSH-2.0-x\r\n\r\n') },
  { name: 'broken chunk', serve: raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n') },
  { name: 'broken header', serve: raw('HTTP/1.1 200 OK\r\nbad header\r\n\r\n') },
  { name: 'status that is no number', serve: raw('HTTP/1.1 abc\r\n\r\n') },
  { name: 'switch of protocols', serve: raw('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n') },
]

const refused: Case[] = [
  { name: 'refused connection', act: async ({ fetch }) => describeResponse(await fetch('http://127.0.0.1:2/')) },
  { name: 'unknown host', act: async ({ fetch }) => describeResponse(await fetch('http://name.invalid/')) },
]

describe('responses', () => compare([...plain, ...refused]))
describe('content codings', () => compare(compressed))
describe('answers that break off', () => compare(broken.map(each => ({ ...each, ignoreServer: true }))))
