import { describe } from 'node:test'
import { inspect } from 'node:util'
import { type Case, compare, describeError, describeResponse } from './fetch-oracle.ts'

type Reader = (response: Response) => unknown
const json: NonNullable<Case['serve']> = (_request, response) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":[1,"é"]}')
const attempt = async (work: () => unknown) => {
  try {
    return await work()
  } catch (error) {
    return describeError(error)
  }
}
const read = (name: string, reader: Reader, serve = json): Case => ({
  name,
  serve,
  act: async ({ fetch, url }) => attempt(async () => reader(await fetch(url))),
})
const typed = (type: string, body: string | Buffer) => (_request: unknown, response: Parameters<typeof json>[1]) =>
  response.writeHead(200, { 'content-type': type }).end(body)
const bodyOf = (body: string | Buffer) => typed('text/plain', body)
const noBody = (_request: unknown, response: Parameters<typeof json>[1]) => response.writeHead(204).end()
const multipart = '--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'

const formEntries: Reader = async response =>
  [...(await response.formData()).entries()].map(([name, value]) => [name, String(value)])
const collect = async (stream: ReadableStream<Uint8Array> | null) => {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return { text: Buffer.concat(chunks).toString(), kinds: [...new Set(chunks.map(chunk => chunk.constructor.name))] }
}
const forms = ['text', 'json', 'arrayBuffer', 'bytes', 'blob', 'formData'] as const
const state = (response: Response) => ({
  used: response.bodyUsed,
  locked: response.body?.locked,
  isSame: Object.is(response.body, response.body),
})

const reading: Case[] = [
  ...forms.flatMap(form => [
    read(`${form}()`, async response => ({ value: await attempt(() => response[form]()), ...state(response) })),
    read(
      `${form}() of no body`,
      async response => ({ value: await attempt(() => response[form]()), ...state(response) }),
      noBody,
    ),
    read(`${form}() twice`, async response => [await attempt(() => response[form]()), await attempt(() => response[form]())]),
    read(`${form}() of no body twice`, async r => [await attempt(() => r[form]()), await attempt(() => r[form]())], noBody),
    read(`${form}() at once twice`, response => Promise.all([attempt(() => response[form]()), attempt(() => response[form]())])),
    read(`${form}() after body was looked at`, async response => [
      state(response),
      await attempt(() => response[form]()),
      state(response),
    ]),
    read(`${form}() of a locked body`, async response => [
      response.body?.getReader() && 0,
      await attempt(() => response[form]()),
    ]),
    read(`${form}() after a cancel`, async response => [
      await response.body?.cancel(),
      await attempt(() => response[form]()),
      state(response),
    ]),
    read(`${form}() of both clones`, async response => {
      const copy = response.clone()
      return [await attempt(() => copy[form]()), state(response), await attempt(() => response[form]())]
    }),
    read(`${form}() of an empty body`, async response => attempt(() => response[form]()), bodyOf('')),
    read(`${form}() of text with a byte-order mark`, async response => attempt(() => response[form]()), bodyOf('\ufeff{"a":1}')),
    read(
      `${form}() of broken UTF-8`,
      async response => attempt(() => response[form]()),
      bodyOf(Buffer.from('"\xe9\xff\xf0\x9f\x98"', 'latin1')),
    ),
    read(`state during ${form}()`, response => {
      const pending = attempt(() => response[form]())
      return { used: response.bodyUsed, locked: response.body?.locked, pending: pending instanceof Promise }
    }),
  ]),
  read('json() of bad JSON', response => response.json(), bodyOf('{"a":')),
  read('json() of a number', response => response.json(), bodyOf(' 5 ')),
  read('formData() of a url-encoded form', formEntries, typed('application/x-www-form-urlencoded', 'a=1&b=%C3%A9&a=2')),
  read('formData() of a multipart form', formEntries, typed('multipart/form-data; boundary=b', multipart)),
  read('formData() of a broken form', formEntries, typed('multipart/form-data; boundary=c', multipart)),
  read('blob() type', async response => (await response.blob()).type, typed('Text/HTML; Charset="utf-8"', 'x')),
  read(
    'blob() without type',
    async response => (await response.blob()).type,
    (_request, response) => response.end('x'),
  ),
  read('arrayBuffer() is exact and our own', async response => {
    const buffer = await response.arrayBuffer()
    return [buffer.constructor.name, buffer.byteLength, buffer.resizable]
  }),
  read('bytes() is exact and our own', async response => {
    const bytes = await response.bytes()
    return [bytes.constructor.name, bytes.byteOffset, bytes.buffer.byteLength]
  }),
  read('clone after read', async response => [await response.text(), await attempt(() => response.clone())]),
  read('clone of a locked body', async response => [response.body?.getReader() && 0, await attempt(() => response.clone())]),
  read('clone of a clone', async response => {
    const first = response.clone()
    const second = first.clone()
    return Promise.all([second.text(), first.text(), response.text()])
  }),
  read('clone keeps everything', async response => describeResponse(response.clone())),
  read('clone of no body', async response => [state(response.clone()), await response.clone().text()], noBody),
]

const streaming: Case[] = [
  read('for await', response => collect(response.body)),
  read(
    'for await of a long body',
    async response => (await collect(response.body)).text.length,
    bodyOf(Buffer.alloc(500_000, 'x')),
  ),
  read(
    'for await broken off',
    async response => {
      for await (const chunk of response.body ?? []) return [chunk.length > 0, state(response)]
      return state(response)
    },
    bodyOf(Buffer.alloc(500_000)),
  ),
  read('reader', async response => {
    const reader = response.body?.getReader()
    const first = await reader?.read()
    return [first?.done, Buffer.from(first?.value ?? []).toString(), await reader?.read(), await reader?.closed, state(response)]
  }),
  read('reader with a buffer of its own', async response => {
    const reader = response.body?.getReader({ mode: 'byob' })
    const parts: unknown[] = []
    for (;;) {
      const part = await reader?.read(new Uint8Array(4))
      parts.push([part?.done, Buffer.from(part?.value ?? []).toString('latin1')])
      if (part === undefined || part.done) return parts
    }
  }),
  read('reader that lets go', async response => {
    const reader = response.body?.getReader()
    reader?.releaseLock()
    return [state(response), await response.text()]
  }),
  read('cancel', async response => [await response.body?.cancel('why'), state(response)]),
  read('tee', async response => {
    const [a, b] = response.body?.tee() ?? []
    return [await collect(a ?? null), await collect(b ?? null), state(response)]
  }),
  read('pipeTo', async response => {
    const parts: string[] = []
    await response.body?.pipeTo(new WritableStream({ write: chunk => void parts.push(Buffer.from(chunk).toString()) }))
    return [parts.join(''), state(response)]
  }),
  read('pipeThrough', async response => (await response.body?.pipeThrough(new TextDecoderStream()).getReader().read())?.value),
  read('new Response of the body', async response => [await new Response(response.body, response).text(), state(response)]),
  read('new Response with the response as init', response => describeResponse(new Response('x', response))),
  read('new Headers of the headers', response =>
    [...new Headers(response.headers)].filter(([name]) => name.startsWith('content')),
  ),
  read('a stream that is kept after the response', async response => collect(await (async () => response.body)())),
]

const surface: Case[] = [
  read('kind', response => [response instanceof Response, response.constructor === Response, String(response), typeof response]),
  read('members', response => {
    const names: string[] = []
    for (const name in response) names.push(name)
    return [names.toSorted(), Object.keys(response), JSON.stringify(response)]
  }),
  read('members of headers', response => {
    const names: string[] = []
    for (const name in response.headers) names.push(name)
    return [names.toSorted(), Object.keys(response.headers), String(response.headers), response.headers instanceof Headers]
  }),
  read('members cannot be set', response => attempt(() => Object.assign(response, { status: 5 }))),
  read('inspect', response => inspect(response).replace(/\d\d:\d\d:\d\d/, '')),
  read('inspect without depth', response => inspect({ response: [response] }, { depth: 0 })),
  read('inspect of headers', response => inspect(response.headers).replace(/\d\d:\d\d:\d\d/, '')),
  read('structuredClone', response => attempt(() => structuredClone(response))),
  read('headers are the same object', response => Object.is(response.headers, response.headers)),
  ...(['append', 'set', 'delete'] as const).flatMap(change =>
    ['x-a', 'a b', 'content-type'].map(name =>
      read(`headers.${change}(${name})`, response => attempt(() => response.headers[change](name, 'v'))),
    ),
  ),
  ...['content-type', 'Content-Type', 'x-none', 'a b', '', 'constructor', '__proto__', '€', 5, null, undefined, Symbol('s')].map(
    name =>
      read(`headers.get and has of ${String(name)}`, async ({ headers }) => [
        await attempt(() => headers.get(name as string)),
        await attempt(() => headers.has(name as string)),
      ]),
  ),
  read('headers.get after another use', ({ headers }) => [
    [...headers.keys()].length > 0,
    headers.get('content-type'),
    headers.has('x'),
  ]),
  read('headers.forEach', ({ headers }) => {
    const seen: unknown[] = []
    headers.forEach(function (this: unknown, value, name, parent) {
      if (name === 'content-type') seen.push(value, name, parent === headers, this)
    }, 'that')
    return seen
  }),
  read('headers.forEach of nothing', ({ headers }) => attempt(() => headers.forEach(undefined as never))),
  read('headers iterators', ({ headers }) => [
    [...headers.values()].length,
    String(headers.entries()),
    typeof headers[Symbol.iterator],
  ]),
  read(
    'headers.getSetCookie',
    ({ headers }) => [headers.getSetCookie(), headers.get('set-cookie')],
    (_request, response) => response.writeHead(200, ['set-cookie', 'a=1, 2', 'set-cookie', 'b=2']).end(),
  ),
]

describe('reading', () => compare([...reading, ...streaming]))
describe('the Response object', () => compare(surface))
