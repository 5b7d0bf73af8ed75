import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpRoute } from '../../src/model/virtual-service.ts'
import { decode, decodeGood, linesOf } from '../support/documents.ts'

const httpRoute = (rules: string, more = '') => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r${more} }
spec:
  parentRefs: [{ group: "", kind: Service, name: web, port: 80 }]
  rules:
${rules}
`
const web = 'web.default.svc.cluster.local'

function rulesOf(yaml: string): readonly HttpRoute[] {
  const own = decodeGood(yaml).virtualServices.filter(({ hosts }) => hosts.includes(web))
  assert.equal(own.length, 1)
  return own[0]?.http ?? []
}

/** What each route matches, and where it leads to. */
function routesOf(yaml: string): readonly string[] {
  return rulesOf(yaml).map(({ matches, action }) => {
    const [match] = matches
    const uri = match?.uri === undefined || match.uri.kind === 'present' ? '*' : `${match.uri.kind} ${match.uri.value}`
    const method = match?.method?.kind === 'exact' ? [match.method.value] : []
    const values = [...(match?.headers ?? []), ...(match?.queryParams ?? [])].map(
      ([name, value]) => `${name} ${value.kind === 'present' ? '' : `${value.kind} ${value.value}`}`,
    )
    const to =
      action.kind === 'forward'
        ? action.destinations.map(({ destination, weight }) => `${destination.host.split('.')[0]}*${weight}`).join(' ')
        : action.kind === 'direct-response'
          ? String(action.status)
          : action.kind
    return [uri, ...method, ...values, to].join(', ')
  })
}

const to = (name: string) => `    backendRefs: [{ name: ${name}, port: 80 }]`

test('the closest match comes first: path, method, headers, query parameters', () => {
  const yaml = httpRoute(`  - matches: [{ path: { value: / } }]
${to('a')}
  - matches: [{ path: { type: PathPrefix, value: /shop/ } }, { queryParams: [{ name: q, value: x }] }]
${to('b')}
  - matches: [{ path: { type: PathPrefix, value: /shop }, headers: [{ name: X-User, value: me }] }]
${to('c')}
  - matches: [{ path: { type: PathPrefix, value: /shop }, method: POST }]
${to('d')}
  - matches: [{ path: { type: Exact, value: /s } }]
${to('e')}
  - matches: [{ path: { type: RegularExpression, value: "/longer/than/any/other" } }]
${to('f')}
  - matches: [{ path: { value: /shop/cart } }]
${to('g')}`)
  assert.deepEqual(routesOf(yaml), [
    'exact /s, e*1',
    'path-prefix /shop/cart, g*1',
    'path-prefix /shop, POST, d*1',
    'path-prefix /shop, x-user exact me, c*1',
    'path-prefix /shop, b*1',
    'path-prefix /, q exact x, b*1',
    'path-prefix /, a*1',
    'regex /longer/than/any/other, f*1',
  ])
})

test('without backends that count it is 500', () => {
  const yaml = httpRoute(`  - matches: [{ path: { value: /a } }]
  - backendRefs: [{ name: a, port: 80, weight: 0 }]`)
  assert.deepEqual(routesOf(yaml), ['path-prefix /a, 500', 'path-prefix /, 500'])
  const [action] = rulesOf(httpRoute(`  - {}\n${to('a').replace('    ', '  - ')}`)).map(each => each.action)
  assert.equal(action?.kind, 'direct-response')
})

test('a path is rewritten as a whole or by what has matched', () => {
  const rewrite = (match: string, path: string) => {
    const [route] = rulesOf(
      httpRoute(`  - matches: [{ path: { value: ${match} } }]
    filters: [{ type: URLRewrite, urlRewrite: { hostname: other, path: ${path} } }]
${to('a')}`),
    )
    assert.ok(route?.action.kind === 'forward')
    const { uri, uriRegex, authority } = route.action.rewrite ?? {}
    assert.equal(authority, 'other')
    return uriRegex === undefined ? uri : `${uriRegex.match} → ${uriRegex.rewrite}`
  }
  const prefix = (value: string) => `{ type: ReplacePrefixMatch, replacePrefixMatch: ${value} }`
  assert.equal(rewrite('/foo', prefix('/xyz')), '/xyz')
  assert.equal(rewrite('/foo/', prefix('/xyz/')), '/xyz')
  assert.equal(rewrite('/f.o', prefix('/')), '^/f\\.o/* → /')
  assert.equal(rewrite('/', prefix('/xyz')), '^/ → /xyz/')
  assert.equal(rewrite('/foo', '{ type: ReplaceFullPath, replaceFullPath: /one }'), '^/.*$ → /one')
})

test('a redirect keeps what it does not change, and is 302', () => {
  const redirect = (text: string) => {
    const [route] = rulesOf(
      httpRoute(`  - matches: [{ path: { value: /foo } }]
    filters: [{ type: RequestRedirect, requestRedirect: ${text} }]`),
    )
    return route?.action
  }
  const base = { kind: 'redirect', status: 302, uri: '', prefixRewrite: '', authority: '', scheme: '', port: 'request' }
  assert.deepEqual(redirect('{}'), base)
  assert.deepEqual(redirect('{ scheme: https, hostname: a, statusCode: 308 }'), {
    ...base,
    scheme: 'https',
    authority: 'a',
    status: 308,
    port: undefined,
  })
  assert.deepEqual(redirect('{ port: 81, path: { type: ReplacePrefixMatch, replacePrefixMatch: /bar } }'), {
    ...base,
    prefixRewrite: '/bar',
    port: 81,
  })
  assert.deepEqual(redirect('{ path: { type: ReplacePrefixMatch, replacePrefixMatch: / } }'), {
    ...base,
    uriRegex: { match: '^/foo/*', rewrite: '/' },
  })
  assert.deepEqual(redirect('{ path: { type: ReplaceFullPath, replaceFullPath: /one } }'), { ...base, uri: '/one' })
})

test('times, and retries', () => {
  const times = (text: string) => {
    const [route] = rulesOf(httpRoute(`  - ${text}\n${to('a')}`))
    assert.ok(route?.action.kind === 'forward')
    const { timeoutMs, retries } = route.action
    return {
      timeoutMs,
      attempts: retries?.attempts,
      perTryTimeoutMs: retries?.perTryTimeoutMs,
      retryOn: retries?.retryOn.slice(5),
    }
  }
  const none = { timeoutMs: undefined, attempts: undefined, perTryTimeoutMs: undefined, retryOn: undefined }
  assert.deepEqual(times('timeouts: { request: 1m30s }'), { ...none, timeoutMs: 90_000 })
  assert.deepEqual(times('timeouts: { request: 0s }'), none)
  assert.deepEqual(times('timeouts: { request: 2s, backendRequest: 500ms }'), { ...none, timeoutMs: 500 })
  assert.deepEqual(
    times(
      '{ timeouts: { request: 2s, backendRequest: 500ms }, retry: { codes: [500, 503], attempts: 3 } }'
        .slice(2, -2)
        .replace(', retry', '\n    retry'),
    ),
    {
      timeoutMs: 2000,
      attempts: 3,
      perTryTimeoutMs: 500,
      retryOn: ['500', '503'],
    },
  )
})

test('mistakes are found with their places', () => {
  const { problems } = decode(
    httpRoute(`  - matches: [{ path: { value: "a" } }, { path: { type: Exact, value: /a/../b } }, { method: FETCH }]
    filters:
    - { type: RequestRedirect, requestRedirect: { statusCode: 304 } }
    - { type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }
    - { type: ExtensionRef, extensionRef: { group: a, kind: b, name: c } }
${to('a')}
    timeouts: { request: 1s, backendRequest: 2s }
  - matches: [{ path: { type: Exact, value: /a } }]
    filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
    timeouts: { request: 5 }
    retry: { codes: [200] }
${to('a')}`),
  )
  const lines = linesOf(problems, 'error').map(line => line.replace(/^mesh\.yaml:[\d:]+ HTTPRoute default\/r: spec\.rules/, ''))
  assert.deepEqual([...lines].sort(), [
    '[0].filters[0].requestRedirect.statusCode: must be 301, 302, 303, 307 or 308, got 304',
    '[0].filters[0].requestRedirect: excludes URLRewrite',
    '[0].filters[0].requestRedirect: excludes backendRefs',
    '[0].filters[2].type: ExtensionRef is not supported here',
    '[0].matches[0].path.value: is not a normal path: "a"',
    '[0].matches[1].path.value: is not a normal path: "/a/../b"',
    '[0].matches[2].method: must be one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH, got "FETCH"',
    '[0].timeouts.backendRequest: must not be longer than request',
    '[1].filters[0].urlRewrite.path: ReplacePrefixMatch needs matches of type PathPrefix',
    '[1].retry.codes[0]: must be in [400, 599], got 200',
    '[1].timeouts.request: must be a string, got 5; put it in quotes',
  ])
})

test('of two kinds of routes for a service the oldest is obeyed', () => {
  const grpc = `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: g, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { parentRefs: [{ group: "", kind: Service, name: web }], rules: [{ backendRefs: [{ name: old, port: 80 }] }] }
`
  const young = httpRoute(`  -${to('young').slice(3)}`, ', creationTimestamp: "2026-02-01T00:00:00Z"')
  const { problems, documents } = decode(`${young}---\n${grpc}`)
  assert.equal(documents.virtualServices.length, 1)
  assert.deepEqual(
    documents.virtualServices[0]?.http.map(({ action }) => action.kind === 'forward' && action.destinations[0]?.destination.host),
    ['old.default.svc.cluster.local'],
  )
  const warning = `HTTPRoute default/r: spec.parentRefs: has no effect: ${web} has an older GRPCRoute`
  assert.ok(linesOf(problems, 'warning').some(line => line.endsWith(warning)))
})
