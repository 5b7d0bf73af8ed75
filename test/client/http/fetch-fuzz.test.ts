import { describe } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { seededRandom } from '../../support/seeded-random.ts'
import { type Case, compare, describeError } from './fetch-oracle.ts'

const random = seededRandom(20260923)
const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
const sometimes = (share: number) => random() < share

const bytes = () => Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256)))
const text = () => bytes().toString(pick('latin1', 'utf8', 'hex'))

/** A maker, as a body can be used only once and two fetches shall have the same. */
function body(): () => unknown {
  const content = text()
  return pick<() => unknown>(
    () => content,
    () => Buffer.from(content),
    () => new Blob([content], { type: 'x/y' }),
    () => new URLSearchParams({ content }),
    () => new Response(content).body,
    () => null,
    () => undefined,
    () => 7,
  )
}

function headers(): unknown {
  const names = [
    'x-a',
    'X-A',
    'X-B',
    'accept',
    'Cookie',
    'content-type',
    'range',
    'if-match',
    'cache-control',
    'User-Agent',
    'b\u00e4d',
    '',
  ]
  const values = ['', '1', ' padded ', 'a, b', 'é', '€', 'two words', 'tab\tinside', 5, null]
  const pairs = Array.from({ length: Math.floor(random() * 5) }, () => [
    sometimes(0.04) ? pick(...names.slice(-2)) : pick(...names.slice(0, -2)),
    sometimes(0.05) ? pick(...values) : pick(...values.slice(0, 5)),
  ])
  return pick<unknown>(pairs, Object.fromEntries(pairs), Object.fromEntries(pairs), undefined)
}

function init(): () => RequestInit {
  const makeBody = sometimes(0.5) ? body() : () => undefined
  const members: Record<string, unknown> = {}
  if (sometimes(0.8))
    members.method = pick('GET', 'POST', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'post', 'HEAD', 'x', 'OPTIONS')
  if (sometimes(0.8)) members.headers = headers()
  if (sometimes(0.3)) members.redirect = pick('follow', 'manual', 'error', 'other')
  if (sometimes(0.5)) members.duplex = pick('half', 'half', 'half', 'full')
  if (sometimes(0.2)) members.cache = pick('default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached')
  if (sometimes(0.1)) members.mode = pick('cors', 'no-cors', 'same-origin')
  if (sometimes(0.1)) members.credentials = pick('omit', 'include', 'same-origin', 'other')
  if (sometimes(0.1)) members.referrer = pick('', 'about:client', 'http://r.example/x')
  if (sometimes(0.1)) members.keepalive = pick(true, false)
  if (sometimes(0.1)) members.integrity = pick('', 'sha256-bad')
  if (sometimes(0.1)) members.signal = pick(null, AbortSignal.abort('fuzz'), new AbortController().signal)
  return () => ({ ...members, body: makeBody() }) as RequestInit
}

/** What a server may do, chosen once and the same for both. */
function serve(): NonNullable<Case['serve']> {
  const status = pick(200, 200, 200, 201, 204, 304, 404, 500)
  const content = text()
  const [encoding, encoded] = pick<[coding: string, body: string | Buffer]>(
    ['', content],
    ['', content],
    ['', content],
    ['gzip', gzipSync(content)],
    ['deflate', deflateSync(content)],
    ['deflate', deflateRawSync(content)],
    ['br', brotliCompressSync(content)],
    ['gzip', content],
  )
  const hops = sometimes(0.3)
    ? Array.from({ length: pick(1, 2, 3) }, () => ({ status: pick(301, 302, 303, 307, 308), crosses: sometimes(0.4) }))
    : []
  const parts = pick(1, 1, 3)
  return (request, response, { url, other }) => {
    const at = Number(/^\/hop(\d)/.exec(request.url ?? '')?.[1] ?? 0)
    const hop = hops[at]
    if (hop !== undefined) {
      const place = hop.crosses ? (at % 2 === 0 ? other : url) : ''
      response.writeHead(hop.status, { location: `${place}/hop${at + 1}?q#f${at}` }).end('moved')
      return
    }
    response.writeHead(status, { 'set-cookie': ['a=1', 'b=2'], 'x-l': 'é', ...(encoding && { 'content-encoding': encoding }) })
    const whole = Buffer.from(encoded)
    const size = Math.ceil(whole.length / parts)
    if (parts > 1) for (let from = 0; from < whole.length; from += size) response.write(whole.subarray(from, from + size))
    response.end(parts > 1 ? undefined : whole)
  }
}

const forms = ['text', 'json', 'arrayBuffer', 'bytes', 'blob', 'formData', 'clone', 'body', 'headers', 'bodyUsed'] as const

async function use(response: Response, form: (typeof forms)[number]): Promise<unknown> {
  try {
    switch (form) {
      case 'clone':
        return await response.clone().text()
      case 'body':
        return response.body === null ? null : response.body.locked
      case 'headers':
        return [...response.headers].filter(([name]) => name !== 'date' && name !== 'keep-alive')
      case 'bodyUsed':
        return response.bodyUsed
      default:
        return await response[form]()
    }
  } catch (error) {
    return describeError(error)
  }
}

const cases = Array.from({ length: 400 }, (_, at): Case => {
  const make = init()
  const uses = Array.from({ length: pick(1, 2, 3, 4) }, () => pick(...forms))
  const path = pick('/', '/a?b', '/a#f', '?q')
  return {
    name: `fuzz ${at}: ${uses.join(', ')}`,
    serve: serve(),
    act: async ({ fetch, url }) => {
      const response = await fetch(url + path, make())
      const { status, statusText, ok, type, url: final, redirected } = response
      const results: unknown[] = [status, statusText, ok, type, final, redirected]
      for (const form of uses) results.push(await use(response, form))
      await response.body?.cancel().catch(() => {})
      return results
    },
  }
})

describe('random calls', () => compare(cases))
