import { describe } from 'node:test'
import { type Case, compare, describeResponse } from './fetch-oracle.ts'

const init = (value: unknown) => value as RequestInit
const body = { POST: 'abc', PUT: 'abc', DELETE: undefined, GET: undefined, HEAD: undefined }
const secrets = { authorization: 'a', cookie: 'c', 'proxy-authorization': 'p', 'x-kept': 'k', 'content-language': 'de' }

/** Redirects `/` with `status` to `location`, and echoes anything else. */
const redirecting =
  (status: number, location: string | ((other: string) => string), more = {}): NonNullable<Case['serve']> =>
  (request, response, { other }) => {
    if (request.url?.startsWith('/there')) {
      response.end(`there ${request.method} ${request.url}`)
      return
    }
    response.writeHead(status, { location: typeof location === 'string' ? location : location(other), ...more }).end('moved')
  }

const statuses = [301, 302, 303, 307, 308]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'] as const

const followed: Case[] = statuses.flatMap(status =>
  methods.flatMap((method): Case[] => [
    {
      name: `${status} of ${method}`,
      init: () => init({ method, body: body[method], headers: secrets }),
      serve: redirecting(status, '/there'),
    },
    {
      name: `${status} of ${method} to another origin`,
      init: () => init({ method, body: body[method], headers: secrets }),
      serve: redirecting(status, other => `${other}/there`),
    },
  ]),
)

const others: Case[] = [300, 304, 305, 306, 309].map(status => ({
  name: `${status} is not followed`,
  serve: redirecting(status, '/there'),
}))

const modes: Case[] = ['manual', 'error'].flatMap(redirect =>
  [...statuses, 300, 304].map(status => ({
    name: `${status} with redirect ${redirect}`,
    init: () => init({ redirect, headers: secrets }),
    serve: redirecting(status, '/there'),
  })),
)

const stream = () => new Response('stream').body

const replays: Case[] = statuses.flatMap((status): Case[] => [
  {
    name: `${status} of a stream`,
    init: () => init({ method: 'POST', body: stream(), duplex: 'half' }),
    serve: redirecting(status, '/there'),
  },
  {
    name: `${status} of a PUT of a stream`,
    init: () => init({ method: 'PUT', body: stream(), duplex: 'half' }),
    serve: redirecting(status, '/there'),
  },
  {
    name: `${status} of a Blob`,
    init: () => init({ method: 'POST', body: new Blob(['blob'], { type: 'x/y' }) }),
    serve: redirecting(status, '/there'),
  },
  {
    name: `${status} of an empty body`,
    init: () => init({ method: 'POST', body: '' }),
    serve: redirecting(status, '/there'),
  },
])

const locations: Record<string, string | ((other: string) => string)> = {
  'relative path': 'there',
  'query only': '?there',
  'fragment of its own': '/there#own',
  'UTF-8': Buffer.from('/thereé€').toString('latin1'),
  'percent escapes': '/there%C3%A9?a=%20',
  space: '/there is',
  'double slash': '//127.0.0.1:1/there',
  empty: '',
  'bad URL': 'http://[',
  'bad port': 'http://127.0.0.1:6000/',
  'other scheme': 'ftp://127.0.0.1/there',
  'data:': 'data:,there',
  'about:': 'about:blank',
  'javascript:': 'javascript:alert(1)',
  'mail address': 'mailto:a@b',
  credentials: other => `${other.replace('//', '//user:secret@')}/there`,
  'user only': other => `${other.replace('//', '//user@')}/there`,
}

const targets: Case[] = Object.entries(locations).flatMap(([name, location]): Case[] => [
  { name: `Location: ${name}`, path: '/a/b?c', serve: redirecting(302, location) },
  { name: `Location: ${name}, from a URL with a fragment`, path: '/a/b?c#first', serve: redirecting(302, location) },
  {
    name: `Location: ${name}, redirect manual`,
    path: '/a/b?c',
    init: () => init({ redirect: 'manual' }),
    serve: redirecting(302, location),
  },
])

const chain =
  (length: number): NonNullable<Case['serve']> =>
  (request, response) => {
    const at = Number(request.url?.slice(1))
    if (at >= length) response.end('arrived')
    else response.writeHead(302, { location: `/${at + 1}` }).end()
  }

const chains: Case[] = [
  { name: 'no Location', serve: (_request, response) => response.writeHead(302).end('nowhere') },
  {
    name: 'no Location, redirect error',
    init: () => init({ redirect: 'error' }),
    serve: (_q, response) => response.writeHead(302).end(),
  },
  {
    name: 'two Locations',
    serve: (request, response) => {
      if (request.url !== '/') response.end(request.url)
      else response.writeHead(302, ['location', '/there', 'location', '/elsewhere']).end()
    },
  },
  { name: 'one redirect', path: '/0', serve: chain(1) },
  { name: 'twenty redirects', path: '/0', serve: chain(20) },
  { name: 'twenty-one redirects', path: '/0', serve: chain(21) },
  { name: 'a loop', serve: redirecting(302, '/') },
  {
    name: 'to another origin and back',
    path: '/0',
    init: () => init({ headers: secrets }),
    serve: (request, response, { url, other }) => {
      if (request.url === '/0') response.writeHead(307, { location: `${other}/1` }).end()
      else if (request.url === '/1') response.writeHead(307, { location: `${url}/2` }).end()
      else response.end('back')
    },
  },
  {
    name: 'POST that becomes GET and stays it',
    path: '/0',
    init: () => init({ method: 'POST', body: 'abc' }),
    serve: (request, response) => {
      if (request.url === '/0') response.writeHead(302, { location: '/1' }).end()
      else if (request.url === '/1') response.writeHead(307, { location: '/2' }).end()
      else response.end('done')
    },
  },
  {
    name: 'compressed redirect',
    serve: redirecting(302, '/there', { 'content-encoding': 'gzip' }),
  },
  { name: 'redirect with Referrer-Policy', serve: redirecting(302, '/there', { 'referrer-policy': 'unsafe-url' }) },
  {
    name: 'redirect with Referrer-Policy of a request with a referrer',
    init: ({ url }) => init({ referrer: `${url}/from?q` }),
    serve: redirecting(302, other => `${other}/there`, { 'referrer-policy': 'unsafe-url' }),
  },
  {
    name: 'integrity of what the redirect leads to',
    init: () => init({ integrity: 'sha256-bad' }),
    serve: redirecting(302, '/there'),
  },
  {
    name: 'redirect with a long body',
    serve: (request, response) => {
      if (request.url === '/there') response.end('there')
      else response.writeHead(302, { location: '/there' }).end(Buffer.alloc(300_000))
    },
  },
  {
    name: 'clone of a redirected response',
    serve: redirecting(302, '/there'),
    act: async ({ fetch, url }) => {
      const response = await fetch(url)
      return [await describeResponse(response.clone()), await describeResponse(response)]
    },
  },
]

describe('redirects', () => compare([...followed, ...others, ...modes, ...replays]))
describe('where redirects lead', () => compare([...targets, ...chains]))
