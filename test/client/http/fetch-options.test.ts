import { resolveObjectURL } from 'node:buffer'
import { createHash } from 'node:crypto'
import { describe } from 'node:test'
import { type Case, compare, describeResponse } from './fetch-oracle.ts'

const init = (value: unknown) => value as RequestInit

const values: Record<string, readonly unknown[]> = {
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached', 'never', null],
  credentials: ['omit', 'same-origin', 'include', 'all', null],
  mode: ['cors', 'no-cors', 'same-origin', 'navigate', 'websocket', 'x'],
  redirect: ['follow', 'manual', 'error', 'never', null],
  keepalive: [true, false, 1, null],
  window: [null, 'x'],
  priority: ['high', 'low', 'auto', 'x'],
  duplex: ['half', 'full', null],
  signal: [null, undefined, {}, 'x', new AbortController().signal],
  referrer: ['', 'about:client', 'http://r.example/path?q#f', 'https://r.example/path', 'relative', 5],
  referrerPolicy: ['', 'no-referrer', 'origin', 'unsafe-url', 'x'],
  integrity: ['', 'sha256-bad', 'nonsense', `sha256-${createHash('sha256').update('echo ').digest('base64')}`],
  dispatcher: [undefined, null],
  unknown: ['x'],
}

const options: Case[] = Object.entries(values).flatMap(([name, list]) =>
  list.map(value => ({
    name: `init ${name}: ${typeof value === 'object' && value ? value.constructor.name : JSON.stringify(value)}`,
    init: () => init({ [name]: value }),
  })),
)

const policies = [
  'no-referrer',
  'no-referrer-when-downgrade',
  'same-origin',
  'origin',
  'strict-origin',
  'origin-when-cross-origin',
  'strict-origin-when-cross-origin',
  'unsafe-url',
]
const referrers: Case[] = policies.flatMap((referrerPolicy): Case[] => [
  {
    name: `referrer of the same origin under ${referrerPolicy}`,
    init: ({ url }) => init({ referrer: `${url}/from?q#f`, referrerPolicy }),
  },
  {
    name: `referrer of another origin under ${referrerPolicy}`,
    init: () => init({ referrer: 'https://user:secret@r.example/from?q#f', referrerPolicy }),
  },
])

const inits: Case[] = [null, undefined, 'text', 5, true, Symbol('s'), () => {}, [], new Map()].map(value => ({
  name: `init of ${typeof value} ${String(value)}`,
  init: () => init(value),
}))

/** A fetch of what `input` makes of the place. */
const of = (name: string, input: (url: string) => unknown, init?: RequestInit): Case => ({
  name,
  act: async ({ fetch, url }) => describeResponse(await fetch(input(url) as string, init)),
})

const urls: Case[] = [
  of('URL object', url => new URL('/a/../b?c=d#e', url)),
  of('object with toString', url => ({ toString: () => `${url}/said` })),
  of('array', url => [url]),
  of('path and query to normalize', url => `${url}/a/./b/../ c?d=ü&e=" "#frag ment`),
  of('bare question mark', url => `${url}/a?`),
  of('bare question mark and fragment', url => `${url}/a?#x`),
  of('question mark in the fragment', url => `${url}/a#?x`),
  of('double slash', url => `${url}//a`),
  of('backslashes', url => url.replaceAll('/', '\\')),
  of('upper-case scheme', url => url.replace('http', 'HTTP')),
  of('space around', url => `  ${url}/  `),
  of('tab and line break inside', url => `${url}/a\tb\nc`),
  of('percent escapes', url => `${url}/%zz/%2F/%e4?%zz`),
  of('no path but a query', url => `${url}?q`),
  of('decimal host', url => url.replace('127.0.0.1', '2130706433')),
  of('credentials', url => url.replace('//', '//user:secret@')),
  of('user only', url => url.replace('//', '//user@')),
  of('empty credentials', url => url.replace('//', '//@')),
  of('at sign in the path', url => `${url}/@x`),
  of('relative', () => '/relative'),
  of('empty', () => ''),
  of('undefined', () => undefined),
  of('null', () => null),
  of('number', () => 5),
  of('plain object', () => ({})),
  of('no host', () => 'http://'),
  of('bad port', () => 'http://127.0.0.1:6000/'),
  of('port out of range', () => 'http://127.0.0.1:99999/'),
  of('about:', () => 'about:blank'),
  of('file:', () => 'file:///etc/hostname'),
  of('ftp:', () => 'ftp://127.0.0.1/x'),
  of('unknown scheme', () => 'x-scheme:whatever'),
  of('data: text', () => 'data:,hello%20world'),
  of('data: base64', () => 'data:text/plain;charset=latin1;base64,aGVsbG8='),
  of('data: broken', () => 'data:nothing'),
  of('data: POST', () => 'data:,x', { method: 'POST' }),
  of('blob: unknown', () => 'blob:nodedata:00000000-0000-0000-0000-000000000000'),
  {
    name: 'blob: URL',
    act: async ({ fetch }) => {
      const url = URL.createObjectURL(new Blob(['blob content'], { type: 'text/x' }))
      try {
        const whole = await (await fetch(url)).text()
        const part = await fetch(url, { headers: { range: 'bytes=2-4' } })
        return { whole, part: await part.text(), status: part.status, known: resolveObjectURL(url) !== undefined }
      } finally {
        URL.revokeObjectURL(url)
      }
    },
  },
]

const stream = () => new Response('stream').body

/** A fetch of a Request made with `request`, and with `second` as the init of fetch. */
const ofRequest = (name: string, request: RequestInit | (() => RequestInit), second?: RequestInit): Case => ({
  name,
  act: async ({ fetch, url }) => {
    const first = typeof request === 'function' ? request() : request
    return describeResponse(await fetch(new Request(`${url}/r?q#f`, first), second))
  },
})

const requests: Case[] = [
  ofRequest('Request', {}),
  ofRequest('Request with an empty init', {}, {}),
  ofRequest('Request with a method and headers', {
    method: 'DELETE',
    headers: [
      ['X-A', '1'],
      ['x-a', '2'],
    ],
  }),
  ofRequest('Request with text', { method: 'POST', body: 'text' }),
  ofRequest('Request with bytes', { method: 'PUT', body: Buffer.from('bytes'), headers: { 'content-type': 'x/y' } }),
  ofRequest('Request with a stream', () => init({ method: 'POST', body: stream(), duplex: 'half' })),
  ofRequest('Request with a form', { method: 'POST', body: new URLSearchParams({ a: 'b' }) }),
  ofRequest('Request with other headers in init', { headers: { 'x-a': '1' } }, { headers: { 'x-b': '2' } }),
  ofRequest('Request with another method in init', { headers: { 'x-a': '1' } }, { method: 'PUT' }),
  ofRequest('Request with a body in init', { method: 'POST', body: 'first' }, { body: 'second' }),
  ofRequest('Request with a referrer', { referrer: 'http://r.example/x' }),
  ofRequest('Request with a referrer and init', { referrer: 'http://r.example/x' }, { method: 'POST' }),
  ofRequest('Request without referrer', { referrer: '' }),
  ofRequest('Request with a cache mode', { cache: 'reload' }),
  ofRequest('Request with integrity', { integrity: 'sha256-bad' }),
  ofRequest('Request of mode no-cors', { mode: 'no-cors' }),
  ofRequest('Request with an aborted signal', { signal: AbortSignal.abort() }),
  ofRequest('Request with a reason', { signal: AbortSignal.abort('why') }),
  ofRequest('Request and an aborted signal in init', {}, { signal: AbortSignal.abort(new RangeError('x')) }),
  {
    name: 'Request that was used',
    act: async ({ fetch, url }) => {
      const request = new Request(url, { method: 'POST', body: 'x' })
      await request.text()
      return describeResponse(await fetch(request))
    },
  },
  {
    name: 'Request used by fetch',
    act: async ({ fetch, url }) => {
      const request = new Request(url, { method: 'POST', body: 'x' })
      const copy = request.clone()
      const first = await (await fetch(request)).text()
      return { first, used: request.bodyUsed, second: await (await fetch(copy)).text() }
    },
  },
  {
    name: 'Request as init',
    act: async ({ fetch, url }) =>
      describeResponse(
        await fetch(`${url}/x`, new Request('http://nowhere.example', { method: 'PUT', headers: { 'x-a': '1' } })),
      ),
  },
  {
    name: 'init whose members are inherited',
    act: async ({ fetch, url }) => describeResponse(await fetch(url, Object.create({ method: 'POST', body: 'inherited' }))),
  },
  {
    name: 'init whose member throws',
    act: async ({ fetch, url }) =>
      describeResponse(
        await fetch(url, {
          get method(): string {
            throw new RangeError('no method')
          },
        }),
      ),
  },
]

describe('options', () => compare([...options, ...referrers, ...inits]))
describe('URLs', () => compare(urls))
describe('Request objects', () => compare(requests))
