import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationMs } from '@bufbuild/protobuf/wkt'
import type { Route } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { routeYaml } from '../support/gateway.ts'
import { istioYaml, serviceYaml, translate } from '../support/translate.ts'

type Given = Parameters<typeof translate>[1]

const host = 'reviews.default.svc.cluster.local'
const service = serviceYaml('reviews')
const to = 'backendRefs: [{ name: reviews, port: 9080 }]'
const routesOf = (yaml: string, view: Given = {}, port = 9080) =>
  translate(service + yaml, view).routes(`outbound|${port}||${host}`)
const namesOf = (routes: readonly Route[]) => routes.map(({ name }) => name)
const forwardOf = (rule: string, kind: 'HTTPRoute' | 'GRPCRoute' = 'HTTPRoute', view: Given = {}) => {
  const [route] = routesOf(routeYaml(kind, `[${rule}]`), view)
  if (route?.action.case !== 'route') throw new Error('the route does not forward')
  return route.action.value
}

test('routes are called by the names of their rules, else by route and place', () => {
  const yaml = routeYaml('GRPCRoute', `[{ matches: [{ method: { service: a } }], ${to} }, { name: rest, ${to} }]`)
  assert.deepEqual(namesOf(routesOf(yaml)), ['default.route.0', 'rest'])
})

test('calls are sorted by service, method and headers, what is written out before regular expressions', () => {
  const matches = [
    ['none', '{}'],
    ['header', '{ headers: [{ name: a, value: b }] }'],
    ['method-regex', '{ method: { type: RegularExpression, method: "Get.+" } }'],
    ['method', '{ method: { method: Get } }'],
    ['regex-short', '{ method: { type: RegularExpression, service: "a.+" } }'],
    ['regex-long', '{ method: { type: RegularExpression, service: "a.+b.+c.+d.+" } }'],
    ['service', '{ method: { service: a.B } }'],
    ['call', '{ method: { service: a.B, method: Get } }'],
    ['call-header', '{ method: { service: a.B, method: Get }, headers: [{ name: a, value: b }] }'],
    ['longer-service', '{ method: { service: a.B.C } }'],
  ] as const
  const sorted = [
    'longer-service',
    'call-header',
    'call',
    'service',
    'regex-long',
    'regex-short',
    'method',
    'method-regex',
    'header',
    'none',
  ]
  for (const order of [matches, matches.toReversed()]) {
    const rules = order.map(([name, match]) => `{ name: ${name}, matches: [${match}], ${to} }`).join(', ')
    assert.deepEqual(namesOf(routesOf(routeYaml('GRPCRoute', `[${rules}]`))), sorted)
  }
})

test('paths of calls are those of gRPC', () => {
  const pathOf = (method: string) =>
    routesOf(routeYaml('GRPCRoute', `[{ matches: [{ method: ${method} }], ${to} }]`))[0]?.match?.pathSpecifier
  const regexOf = (method: string) => {
    const path = pathOf(method)
    return path?.case === 'safeRegex' ? path.value.regex : undefined
  }
  assert.deepEqual(pathOf('{ service: a.B, method: C }'), { case: 'path', value: '/a.B/C' })
  assert.deepEqual(pathOf('{ service: a.B }'), { case: 'prefix', value: '/a.B/' })
  assert.equal(regexOf('{ method: C }'), '/[^/]+/C')
  assert.equal(regexOf('{ type: RegularExpression, service: "a|b", method: "C|D" }'), '/(?:a|b)/(?:C|D)')
})

test('of routes with equal matches the older counts, then the name', () => {
  const rule = (name: string) => `[{ name: ${name}, matches: [{ method: { service: a } }], ${to} }]`
  const route = (name: string, more = '') => routeYaml('GRPCRoute', rule(name), more).replace('name: route', `name: ${name}`)
  assert.deepEqual(namesOf(routesOf(route('b') + route('a'))), ['a', 'b'])
  assert.deepEqual(namesOf(routesOf(route('a') + route('b', ', creationTimestamp: "2026-01-01T00:00:00Z"'))), ['b', 'a'])
})

test('a GRPCRoute and an HTTPRoute are not merged: the GRPCRoute rules its ports', () => {
  const ports = serviceYaml('reviews', '[{ name: grpc, port: 9080 }, { name: http, port: 80 }]')
  const http = routeYaml('HTTPRoute', `[{ name: pages, matches: [{ path: { value: /a } }], ${to} }]`)
  const grpc = routeYaml('GRPCRoute', `[{ name: calls, ${to} }]`, '', ', sectionName: grpc').replace('name: route', 'name: calls')
  const translated = translate(ports + http + grpc)
  assert.deepEqual(namesOf(translated.routes(`outbound|9080||${host}`)), ['calls'])
  assert.deepEqual(namesOf(translated.routes(`outbound|80||${host}`)), ['pages'])
})

test('port and name of a port must both fit', () => {
  const ports = serviceYaml('reviews', '[{ name: grpc, port: 9080 }, { name: http, port: 80 }]')
  const ruled = (parent: string) => {
    const translated = translate(ports + routeYaml('GRPCRoute', `[{ name: calls, ${to} }]`, '', parent))
    return [9080, 80].filter(port => translated.routes(`outbound|${port}||${host}`)[0]?.name === 'calls')
  }
  assert.deepEqual(ruled(''), [9080, 80])
  assert.deepEqual(ruled(', port: 80'), [80])
  assert.deepEqual(ruled(', sectionName: grpc, port: 9080'), [9080])
  assert.deepEqual(ruled(', sectionName: grpc, port: 80'), [])
})

test('a route of the namespace of the service is for every caller, one of another for its own', () => {
  const consumer = routeYaml('GRPCRoute', `[{ name: mine, ${to} }]`, ', namespace: shop')
  const producer = routeYaml('GRPCRoute', `[{ name: theirs, ${to} }]`)
  const ruler = (yaml: string, namespace: string) => routesOf(yaml, { namespace })[0]?.name
  for (const yaml of [consumer + producer, producer + consumer]) {
    assert.equal(ruler(yaml, 'default'), 'theirs')
    assert.equal(ruler(yaml, 'shop'), 'mine')
    assert.equal(ruler(yaml, 'elsewhere'), 'theirs')
  }
  assert.equal(ruler(consumer, 'elsewhere'), 'default')
})

test('without a backend a request is answered 500, and a call UNAVAILABLE', () => {
  const answerOf = (kind: 'HTTPRoute' | 'GRPCRoute', rule: string) => {
    const [route] = routesOf(routeYaml(kind, `[${rule}]`))
    return route?.action.case === 'directResponse' ? route.action.value.status : undefined
  }
  assert.equal(answerOf('HTTPRoute', '{ backendRefs: [] }'), 500)
  assert.equal(answerOf('HTTPRoute', ''), 500)
  assert.equal(answerOf('GRPCRoute', '{ backendRefs: [{ name: a, port: 1, weight: 0 }] }'), 503)
  const notFound = (kind: 'HTTPRoute' | 'GRPCRoute') =>
    forwardOf('{ backendRefs: [{ name: nobody, port: 1 }] }', kind).clusterNotFoundResponseCode
  assert.deepEqual([notFound('HTTPRoute'), notFound('GRPCRoute')], [2, 0])
})

test('a GRPCRoute without rules rules nothing', () => {
  assert.deepEqual(namesOf(routesOf(routeYaml('GRPCRoute', '[]'))), ['default'])
})

test('clients of gRPC get a regular expression for a prefix of segments, which they know', () => {
  const rule = `[{ matches: [{ path: { value: /a.b/c } }], ${to} }]`
  const pathOf = (view: Given) => routesOf(routeYaml('HTTPRoute', rule), view)[0]?.match?.pathSpecifier
  assert.deepEqual(pathOf({}), { case: 'pathSeparatedPrefix', value: '/a.b/c' })
  const path = pathOf({ agent: 'other' })
  assert.equal(path?.case === 'safeRegex' ? path.value.regex : '', '/a\\.b/c(/.*)?')
})

test('a prefix is replaced with one slash between it and the rest', () => {
  const rewriteOf = (prefix: string, replacement: string) => {
    const rewrite = `{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: ${replacement} } } }`
    const { prefixRewrite, regexRewrite } = forwardOf(
      `{ matches: [{ path: { value: ${prefix} } }], filters: [${rewrite}], ${to} }`,
    )
    return prefixRewrite || [regexRewrite?.pattern?.regex, regexRewrite?.substitution]
  }
  assert.equal(rewriteOf('/a', '/x/'), '/x')
  assert.deepEqual(rewriteOf('/a.b', '/'), ['^/a\\.b(/?)(.*)', '/\\2'])
  assert.deepEqual(rewriteOf('/', '/x'), ['^/(.*)$', '/x/\\1'])
  assert.deepEqual(rewriteOf('/', '/'), [undefined, undefined])
})

test('timeouts and retries', () => {
  const limits = (rule: string) => {
    const { timeout, maxStreamDuration, retryPolicy } = forwardOf(`{ ${rule}, ${to} }`)
    return {
      timeoutMs: timeout && durationMs(timeout),
      grpcMs: maxStreamDuration?.grpcTimeoutHeaderMax && durationMs(maxStreamDuration.grpcTimeoutHeaderMax),
      perTryMs: retryPolicy?.perTryTimeout && durationMs(retryPolicy.perTryTimeout),
      attempts: retryPolicy?.numRetries,
      codes: retryPolicy?.retriableStatusCodes,
    }
  }
  assert.deepEqual(limits('timeouts: { request: 2s, backendRequest: 1s }, retry: { codes: [502], attempts: 4 }'), {
    timeoutMs: 2000,
    grpcMs: 2000,
    perTryMs: 1000,
    attempts: 4,
    codes: [502],
  })
  assert.deepEqual(limits('timeouts: { request: 2s, backendRequest: 1s }'), {
    timeoutMs: 1000,
    grpcMs: 1000,
    perTryMs: undefined,
    attempts: 2,
    codes: [],
  })
  assert.deepEqual(limits('timeouts: { request: 0s }'), {
    timeoutMs: 0,
    grpcMs: undefined,
    perTryMs: undefined,
    attempts: 2,
    codes: [],
  })
})

test('mirrors get their share', () => {
  const mirror = (what: string) =>
    `{ type: RequestMirror, requestMirror: { backendRef: { name: m, namespace: shop, port: 1 }${what} } }`
  const sharesOf = (...list: readonly string[]) =>
    forwardOf(`{ filters: [${list.join(', ')}], ${to} }`, 'GRPCRoute').requestMirrorPolicies.map(
      ({ cluster, runtimeFraction }) => [cluster, runtimeFraction?.defaultValue?.numerator],
    )
  const cluster = 'outbound|1||m.shop.svc.cluster.local'
  assert.deepEqual(
    sharesOf(
      mirror(''),
      mirror(', percent: 5'),
      mirror(', percent: 0'),
      mirror(', fraction: { numerator: 1, denominator: 1000 }'),
    ),
    [
      [cluster, 1_000_000],
      [cluster, 50_000],
      [cluster, 1000],
    ],
  )
})

test('a header match on the host is one on the authority', () => {
  const [route] = routesOf(routeYaml('HTTPRoute', `[{ matches: [{ headers: [{ name: Host, value: a.test }] }], ${to} }]`))
  assert.deepEqual(
    route?.match?.headers.map(({ name }) => name),
    [':authority'],
  )
})

test('the hosts of a ServiceEntry, by its name', () => {
  const entry = istioYaml(
    'ServiceEntry',
    'api',
    '{ hosts: [api.test], resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }',
  )
  const route = (kind: string, name: string) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: route }
spec:
  parentRefs: [{ group: networking.istio.io, kind: ${kind}, name: ${name} }]
  rules: [{ name: pages, backendRefs: [{ group: networking.istio.io, kind: Hostname, name: API.test, port: 80 }] }]
---
`
  const [found] = translate(entry + route('ServiceEntry', 'api')).routes('outbound|80||api.test')
  assert.equal(found?.name, 'pages')
  assert.deepEqual(found?.action.case === 'route' && found.action.value.clusterSpecifier, {
    case: 'cluster',
    value: 'outbound|80||api.test',
  })
  assert.deepEqual(namesOf(translate(entry + route('ServiceEntry', 'other')).routes('outbound|80||api.test')), ['default'])
})
