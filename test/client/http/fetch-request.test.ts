import { Readable } from 'node:stream'
import { describe } from 'node:test'
import { type Case, compare } from './fetch-oracle.ts'

/** Anything at all as init: half of the cases are what no type checker lets through. */
const init = (value: unknown) => value as RequestInit

const methods: Case[] = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  ...['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'Get', 'pOsT'],
  ...['QUERY', 'PURGE', 'query', 'TRACE', 'CONNECT', 'track', '', 'A B', 'GÉT', null, 5, undefined],
].map(method => ({ name: `method ${JSON.stringify(method)}`, init: () => init({ method }) }))

const streamOf = (...chunks: unknown[]) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })

async function* generate(...chunks: unknown[]): AsyncGenerator<unknown> {
  yield* chunks
}

const form = () => {
  const data = new FormData()
  data.append('field "a"\n', 'välue\nline')
  data.append('file', new File(['content'], 'näme.txt', { type: 'text/plain' }))
  data.append('blob', new Blob(['b']))
  return data
}

const bytes = () => new TextEncoder().encode('0123456789')
const lockedStream = () => {
  const stream = streamOf(bytes())
  stream.getReader()
  return stream
}
const readStream = () => {
  const stream = streamOf(bytes())
  const reader = stream.getReader()
  void reader.read().then(() => reader.releaseLock())
  return stream
}

const bodies: Record<string, () => unknown> = {
  text: () => 'abc',
  'empty text': () => '',
  'text beyond ASCII': () => 'é€😀',
  'a lone surrogate': () => 'a\ud800b',
  Uint8Array: bytes,
  Buffer: () => Buffer.from('buffer'),
  'a view of a part': () => bytes().subarray(2, 5),
  DataView: () => new DataView(bytes().buffer, 1, 4),
  Float64Array: () => new Float64Array([1, 2]),
  ArrayBuffer: () => bytes().buffer,
  'an empty ArrayBuffer': () => new ArrayBuffer(0),
  'a resizable ArrayBuffer': () => new ArrayBuffer(4, { maxByteLength: 8 }),
  'shared memory': () => new Uint8Array(new SharedArrayBuffer(4)),
  URLSearchParams: () => new URLSearchParams({ a: '1 2', b: 'é' }),
  'empty URLSearchParams': () => new URLSearchParams(),
  'Blob with a type': () => new Blob(['blob'], { type: 'application/x-blob' }),
  'Blob without a type': () => new Blob(['blob']),
  'empty Blob': () => new Blob([]),
  File: () => new File(['file'], 'name', { type: 'text/css' }),
  FormData: form,
  'empty FormData': () => new FormData(),
  number: () => 123,
  'plain object': () => ({}),
  array: () => [1, 2],
  boolean: () => true,
  null: () => null,
  undefined: () => undefined,
}

/** Of these the server sees more or less, as it happens. */
const brokenStreams: Record<string, () => unknown> = {
  'stream of numbers': () => streamOf(1),
  'stream that fails at once': () => new ReadableStream({ start: controller => controller.error(new Error('no more')) }),
  'stream that fails later': () => Readable.toWeb(Readable.from(failing())),
  'async generator that fails': () => failing(),
}

const streams: Record<string, () => unknown> = {
  'stream of bytes': () => streamOf(bytes(), bytes()),
  'empty stream': () => streamOf(),
  'stream of text': () => streamOf('text'),
  'locked stream': lockedStream,
  'read stream': readStream,
  'async generator of bytes': () => generate(bytes(), bytes()),
  'async generator of text': () => generate('text', 'é'),
  'Node stream': () => Readable.from([Buffer.from('a'), Buffer.from('b')]),
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield bytes()
  throw new RangeError('source broke')
}

const bodyCases: Case[] = [
  ...Object.entries(bodies).flatMap(([name, body]): Case[] => [
    { name: `POST of ${name}`, init: () => init({ method: 'POST', body: body() }) },
    {
      name: `PUT of ${name} with a type of its own`,
      init: () => init({ method: 'PUT', body: body(), headers: { 'Content-Type': 'x/y' } }),
    },
  ]),
  ...Object.entries(streams).flatMap(([name, body]): Case[] => [
    {
      name: `POST of a ${name}`,
      init: () => init({ method: 'POST', body: body(), duplex: 'half' }),
      ignoreServer: /fail|numb/.test(name),
    },
    { name: `POST of a ${name} without duplex`, init: () => init({ method: 'POST', body: body() }) },
  ]),
  { name: 'POST of a stream with duplex full', init: () => init({ method: 'POST', body: streamOf(), duplex: 'full' }) },
  {
    name: 'POST of a stream with keepalive',
    init: () => init({ method: 'POST', body: streamOf(), duplex: 'half', keepalive: true }),
  },
  { name: 'GET with a body', init: () => init({ body: 'x' }) },
  { name: 'HEAD with a body', init: () => init({ method: 'HEAD', body: 'x' }) },
  { name: 'DELETE with a body', init: () => init({ method: 'DELETE', body: 'x' }) },
  { name: 'DELETE with an empty body', init: () => init({ method: 'DELETE', body: '' }) },
  { name: 'OPTIONS with an empty body', init: () => init({ method: 'OPTIONS', body: '' }) },
  {
    name: 'bytes changed after the call are not sent',
    act: async ({ fetch, url }) => {
      const body = bytes()
      const response = fetch(url, { method: 'POST', body })
      body.fill(0x78)
      return (await response).text()
    },
  },
]

const headers: Record<string, unknown> = {
  object: { 'X-One': '1', 'x-two': '2' },
  'Headers instance': new Headers([
    ['X-One', '1'],
    ['x-two', '2'],
    ['x-two', '3'],
  ]),
  pairs: [
    ['X-One', '1'],
    ['x-two', '2'],
    ['X-TWO', '3'],
  ],
  'names that differ in case': { 'X-A': '1', 'x-a': '2', 'X-a': '3' },
  'names that differ in case, lower first': { 'x-a': '1', 'X-A': '2' },
  'a number': { 'x-n': 5 },
  'a boolean': { 'x-b': true },
  'an undefined value': { 'x-u': undefined },
  'a null value': { 'x-u': null },
  'an array value': { 'x-l': ['a', 'b'] },
  'an object value': { 'x-o': { toString: () => 'said' } },
  'a symbol value': { 'x-s': Symbol('s') },
  'a latin-1 value': { 'x-l': 'é' },
  'a value beyond latin-1': { 'x-l': '€' },
  'a line break': { 'x-l': 'a\r\nb: c' },
  'a NUL': { 'x-l': 'a\0b' },
  'space around': { 'x-l': '  \ta b\t ' },
  'only space': { 'x-l': '   ' },
  'an empty value': { 'x-l': '' },
  'an empty name': { '': 'x' },
  'a bad name': { 'a b': 'x' },
  'a name beyond ASCII': { ñ: 'x' },
  'a pair of three': [['a', 'b', 'c']],
  'a pair of one': [['a']],
  'pairs that are not arrays': ['ab'],
  'a Map': new Map([['x-m', '1']]),
  text: 'x: y',
  null: null,
  number: 5,
  'an empty object': {},
  'an object without prototype': Object.assign(Object.create(null), { 'x-a': '1' }),
  host: { host: 'elsewhere', 'x-a': '1' },
  'connection: close': { connection: 'close' },
  'connection: keep-alive': { Connection: 'keep-alive' },
  'connection: upgrade': { connection: 'upgrade' },
  'transfer-encoding': { 'transfer-encoding': 'chunked' },
  'keep-alive': { 'keep-alive': 'timeout=5' },
  upgrade: { upgrade: 'h2c' },
  expect: { expect: '100-continue' },
  cookie: { cookie: 'a=1; b=2' },
  'two cookies': [
    ['cookie', 'a=1'],
    ['Cookie', 'b=2'],
  ],
  'two set-cookies': [
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ],
  accept: { Accept: 'application/json' },
  'accept-language': { 'Accept-Language': 'de' },
  'user-agent': { 'User-Agent': 'me' },
  'accept-encoding': { 'Accept-Encoding': 'br' },
  'sec-fetch-mode': { 'sec-fetch-mode': 'navigate' },
  range: { Range: 'bytes=0-1' },
  'range and accept-encoding': { range: 'bytes=0-1', 'Accept-Encoding': 'br' },
  'if-none-match': { 'If-None-Match': '"x"' },
  'if-modified-since and cache-control': { 'if-modified-since': 'x', 'Cache-Control': 'y' },
  'if-match, if-range and pragma': { 'if-match': 'x', 'if-range': 'y', Pragma: 'z' },
  authorization: { Authorization: 'Basic eDp5' },
  'origin and referer': { origin: 'http://o', referer: 'http://r' },
  traceparent: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
}

const headerCases: Case[] = Object.entries(headers).flatMap(([name, value]): Case[] => [
  { name: `GET with headers: ${name}`, init: () => init({ headers: value }) },
  { name: `POST with headers: ${name}`, init: () => init({ method: 'POST', body: 'abc', headers: value }) },
])

const brokenCases: Case[] = Object.entries(brokenStreams).map(([name, body]) => ({
  name: `POST of a ${name}`,
  init: () => init({ method: 'POST', body: body(), duplex: 'half' }),
  ignoreServer: true,
}))

const lengths: Case[] = ['3', '5', 'x', '-1'].map(length => ({
  name: `POST of three bytes with content-length ${length}`,
  init: () => init({ method: 'POST', body: 'abc', headers: { 'content-length': length } }),
  ignoreServer: true,
}))

describe('methods', () => compare(methods))
describe('bodies', () => compare(bodyCases))
describe('headers', () => compare(headerCases))
describe('requests that break off', () => compare([...brokenCases, ...lengths]))
