import type { Random } from '../../src/runtime.ts'

/** One request that tries to get at something that is denied. */
export interface Variant {
  readonly method: string
  readonly target: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
}

type Mutation = (path: string, pick: Pick) => string
interface Pick {
  int(below: number): number
  of<T>(list: readonly T[]): T
}

const hex = (char: string, upper: boolean) => {
  const text = char.charCodeAt(0).toString(16).padStart(2, '0')
  return `%${upper ? text.toUpperCase() : text}`
}

const insertAt = (text: string, at: number, what: string) => text.slice(0, at) + what + text.slice(at)
const slashes = (path: string) => [...path.matchAll(/\//g)].map(({ index }) => index)

const separators = [
  '/',
  '//',
  '///',
  '/./',
  '/.//',
  '/x/../',
  '/x/%2e%2e/',
  '/..;/',
  '/;/',
  '/;a=b/',
  '\\',
  '/\\',
  '%2f',
  '%2F',
  '%5c',
  '%252f',
  '/%2e/',
  '/.;/',
  '%c0%af',
  '%u002f',
  '／',
  '/%20/',
  '/%09/',
]
const tails = [
  '',
  '/',
  '//',
  '/.',
  '/./',
  '/..',
  '/x/..',
  '?',
  '?x',
  '?/../x',
  '#',
  '#x',
  '#/../x',
  ';',
  ';x',
  ';x=/..',
  '%00',
  '%00.html',
  '%20',
  '%09',
  '%0a',
  '%0d%0a',
  '.',
  '..',
  '...',
  '.json',
  '%2e',
  '%2f',
  '%3f',
  '%3fx',
  '%23',
  '%23x',
  '%3b',
  '~',
  '*',
  '%',
  '%2',
  '%zz',
  '/%2e',
  '/%2e%2e/admin',
  '\\',
  '%5c',
  '/admin',
  '/index.html',
  '%ef%bc%8f',
  '\u00a0'.normalize(),
  '+',
  '&',
  '=',
]
const prefixes = [
  '',
  '',
  '',
  '/.',
  '/..',
  '/../..',
  '/x/..',
  '/x/y/../..',
  '//',
  '/;',
  '/;a',
  '/.;',
  '/..;',
  '/%2e',
  '/%2e%2e',
  '/%252e%252e',
  '/x/%2e%2e',
  '\\',
  '/\\',
  '/\\..',
  'http://a',
  'http://evil',
  'https://a',
  'HTTP://A',
  'http:',
  'http://a:80',
  'http://a@evil',
  '*',
  '/x',
  '/public/..',
  '/public/../',
  '/%20',
  '/%2f',
  '/?',
  '/#',
  '/a?b=',
  '/x;/..',
]

const mutations: readonly Mutation[] = [
  (path, { int }) => {
    const at = int(path.length)
    return path.slice(0, at) + hex(path[at] ?? 'a', int(2) === 0) + path.slice(at + 1)
  },
  (path, { int }) => {
    const at = int(path.length)
    return path.slice(0, at) + hex(path[at] ?? 'a', false).replace('%', '%25') + path.slice(at + 1)
  },
  (path, { int }) => {
    const at = int(path.length)
    const char = path[at] ?? ''
    const flipped = char === char.toUpperCase() ? char.toLowerCase() : char.toUpperCase()
    return path.slice(0, at) + flipped + path.slice(at + 1)
  },
  path => path.toUpperCase(),
  (path, { of }) => {
    const at = of(slashes(path)) ?? 0
    return path.slice(0, at) + of(separators) + path.slice(at + 1)
  },
  (path, { of }) => path + of(tails),
  (path, { of }) => of(prefixes) + path,
  (path, { int, of }) =>
    insertAt(
      path,
      int(path.length + 1),
      of([
        '%00',
        '\t',
        ';',
        '.',
        '%20',
        '\u200b',
        '\u00ad',
        '%c2%ad',
        '%ad',
        '%e2%80%8b',
        '\x7f',
        '%7f',
        '*',
        '?',
        '#',
        '\\',
        '%5c',
        '%2f',
      ]),
    ),
  path => path.replace('i', '%c4%b1'),
  path => path.replace('a', '%ef%bd%81'),
  (path, { of }) =>
    path.replace(
      'admin',
      of([
        'admin',
        'Admin',
        'ADMIN',
        'aDmIn',
        '%61dmin',
        '%61%64%6d%69%6e',
        'adm%69n',
        'x/../admin',
        './admin',
        'admin/.',
        'admin;a',
        'admin/',
      ]),
    ),
]

const methods = [
  'GET',
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'get',
  'Get',
  'QUERY',
  'FOO',
  'PURGE',
]
const headers: readonly (readonly string[])[] = [
  [],
  [],
  [],
  ['x-original-url', '/public'],
  ['x-rewrite-url', '/public'],
  ['x-forwarded-prefix', '/public'],
  ['x-forwarded-path', '/public'],
  ['x-forwarded-for', '127.0.0.1'],
  ['x-forwarded-host', 'localhost'],
  ['x-forwarded-client-cert', 'URI=spiffe://td/ns/default/sa/admin'],
  ['x-envoy-original-path', '/public'],
  ['x-envoy-internal', 'true'],
  ['x-http-method-override', 'OPTIONS'],
  ['x-http-method', 'OPTIONS'],
  ['content-type', 'application/grpc'],
  ['content-type', 'application/grpc-web'],
  ['connection', 'x-forwarded-client-cert'],
  ['connection', 'close, authorization'],
  ['upgrade', 'h2c', 'connection', 'upgrade, http2-settings', 'http2-settings', 'AAMAAABkAAQAAP__'],
  ['upgrade', 'websocket', 'connection', 'upgrade'],
  ['expect', '100-continue'],
  ['transfer-encoding', 'identity'],
  ['host', 'b'],
  ['authorization', 'Basic YQ==', 'authorization', 'Basic Yg=='],
  ['te', 'trailers'],
  ['range', 'bytes=0-'],
]

/** Makes variants of `path`, the same ones for the same randomness, none of them twice. */
export function* variantsOf(path: string, random: Random, count: number): Generator<Variant> {
  const pick: Pick = {
    int: below => Math.floor(random() * below),
    of: list => list[Math.floor(random() * list.length)] as never,
  }
  const seen = new Set<string>()
  while (seen.size < count) {
    let target = path
    for (let left = 1 + pick.int(4); left > 0; left--) target = pick.of(mutations)(target, pick)
    const variant = { method: pick.of(methods), target, headers: pick.of(headers) }
    const key = `${variant.method} ${target} ${variant.headers.join()}`
    if (seen.has(key)) continue
    seen.add(key)
    yield variant
  }
}

/** Edit distance. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
