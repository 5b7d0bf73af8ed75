import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationMs } from '@bufbuild/protobuf/wkt'
import { CorsPolicySchema } from 'inmesh/gen/envoy/extensions/filters/http/cors/v3/cors_pb'
import { HTTPFaultSchema } from 'inmesh/gen/envoy/extensions/filters/http/fault/v3/fault_pb'
import { istioYaml, serviceYaml, translate, unpack } from '../support/translate.ts'

type Given = Parameters<typeof translate>[1]

const host = 'reviews.default.svc.cluster.local'
const service = serviceYaml('reviews')
const virtualService = (http: string, name = 'reviews', more = '') =>
  istioYaml('VirtualService', name, `{ hosts: [reviews], http: [${http}] }`, more)
const to = 'route: [{ destination: { host: reviews } }]'
const routesOf = (http: string, view: Given = {}, more = '') =>
  translate(service + virtualService(http) + more, view).routes(`outbound|9080||${host}`)
const onlyRoute = (http: string, view: Given = {}, more = '') => {
  const [route, ...others] = routesOf(http, view, more)
  assert.deepEqual(others, [])
  return route
}
const forwardOf = (http: string, view: Given = {}, more = '') => {
  const action = onlyRoute(http, view, more)?.action
  if (action?.case !== 'route') throw new Error('the route does not forward')
  return action.value
}

test("without rules a call is forwarded, with Istio's retries and no timeout", () => {
  const [route] = translate(service).routes(`outbound|9080||${host}`)
  const action = route?.action.case === 'route' ? route.action.value : undefined
  assert.equal(route?.name, 'default')
  assert.deepEqual(action?.clusterSpecifier, { case: 'cluster', value: `outbound|9080||${host}` })
  assert.equal(action?.timeout && durationMs(action.timeout), 0)
  assert.equal(action?.maxStreamDuration, undefined)
  const retry = action?.retryPolicy
  assert.equal(retry?.retryOn, 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes')
  assert.deepEqual([retry?.numRetries, retry?.retriableStatusCodes, retry?.hostSelectionRetryMaxAttempts], [2, [], 5n])
  assert.equal(retry?.retryHostPredicate[0]?.name, 'envoy.retry_host_predicates.previous_hosts')
})

test('of two VirtualServices on a host the oldest counts whole, then the name', () => {
  const named = (name: string, more = '') => virtualService(`{ name: ${name}, ${to} }`, name, more)
  const ruler = (yaml: string) =>
    translate(service + yaml)
      .routes(`outbound|9080||${host}`)
      .map(({ name }) => name)
  assert.deepEqual(ruler(named('b') + named('a')), ['a'])
  assert.deepEqual(ruler(named('a') + named('b', ', creationTimestamp: "2026-01-01T00:00:00Z"')), ['b'])
})

test('of two VirtualServices on a host the older one leaves to the other the callers whom it has no rules for', () => {
  const some = virtualService(`{ name: some, match: [{ sourceLabels: { app: web } }], ${to} }`, 'a')
  const rest = virtualService(`{ name: rest, ${to} }`, 'b')
  const ruler = (yaml: string, view: Given = {}) => translate(service + yaml, view).routes(`outbound|9080||${host}`)[0]?.name
  assert.equal(ruler(some + rest, { labels: { app: 'web' } }), 'some')
  assert.equal(ruler(some + rest), 'rest')
  const on = (yaml: string, pattern: string) => yaml.replaceAll('hosts: [reviews]', `hosts: ["${pattern}"]`)
  const wildcard = '*.default.svc.cluster.local'
  assert.equal(ruler(on(some + rest, wildcard)), 'default', 'of a wildcard the oldest alone counts, as in Istio')
  const { virtualHosts } = translate(serviceYaml('web', '[{ port: 80 }]') + on(some + rest, 'api.test'), {
    kind: 'envoy',
  }).routeConfiguration('80')
  const elsewhere = virtualHosts.find(({ domains }) => domains.includes('api.test'))
  assert.deepEqual(
    elsewhere?.routes.map(({ name }) => name),
    ['rest'],
  )
})

test('the closest host rules: the name before wildcards, the longer before the shorter', () => {
  const on = (name: string, hosts: string) =>
    istioYaml('VirtualService', name, `{ hosts: ["${hosts}"], http: [{ name: ${name}, ${to} }] }`)
  const ruler = (yaml: string) => translate(service + yaml).routes(`outbound|9080||${host}`)[0]?.name
  const [short, long, exact] = [on('a', '*.cluster.local'), on('b', '*.default.svc.cluster.local'), on('c', host)]
  assert.equal(ruler(short + long), 'b')
  assert.equal(ruler(short + long + exact), 'c')
})

test('a match on the port, on the caller and on gateways is decided here', () => {
  const names = (match: string, view: Given = {}) =>
    routesOf(`{ name: special, match: [${match}], ${to} }, { name: rest, ${to} }`, view).map(({ name }) => name)
  assert.deepEqual(names('{ port: 9080 }'), ['special'])
  assert.deepEqual(names('{ port: 81 }'), ['rest'])
  assert.deepEqual(names('{ sourceLabels: { app: web } }'), ['rest'])
  assert.deepEqual(names('{ sourceLabels: { app: web } }', { labels: { app: 'web', more: 'x' } }), ['special'])
  assert.deepEqual(names('{ sourceNamespace: shop }'), ['rest'])
  assert.deepEqual(names('{ sourceNamespace: default }'), ['special'])
  assert.deepEqual(names('{ gateways: [edge] }'), ['rest'])
  assert.deepEqual(names('{ gateways: [edge, mesh], sourceLabels: { app: web } }'), ['special'])
})

test('nothing follows a route that takes everything', () => {
  const rules = `{ name: a, match: [{ uri: { prefix: /a } }, { uri: { prefix: / } }, { uri: { exact: /b } }], ${to} }, { name: c, ${to} }`
  assert.equal(routesOf(rules).length, 2)
})

test('names of rule and match are joined', () => {
  assert.equal(onlyRoute(`{ name: rule, match: [{ name: match, uri: { prefix: /a } }], ${to} }`)?.name, 'rule.match')
})

test('every kind of match is translated', () => {
  const match = onlyRoute(
    `{ match: [{ uri: { exact: /A }, ignoreUriCase: true, method: { exact: GET }, authority: { prefix: rev }, scheme: { exact: http },
      headers: { b: {}, a: { regex: "x+" } }, withoutHeaders: { c: {}, d: { prefix: yy } }, queryParams: { q: { exact: "1" }, p: {} } }], ${to} }`,
  )?.match
  assert.deepEqual(match?.pathSpecifier, { case: 'path', value: '/A' })
  assert.equal(match?.caseSensitive, false)
  const seen = match?.headers.map(
    ({ name, headerMatchSpecifier: { case: kind, value }, invertMatch, treatMissingHeaderAsEmpty }) => {
      const pattern = kind === 'stringMatch' ? value.matchPattern.case : value
      return [name, kind, pattern, invertMatch, treatMissingHeaderAsEmpty]
    },
  )
  assert.deepEqual(seen, [
    ['a', 'stringMatch', 'safeRegex', false, false],
    ['b', 'presentMatch', true, false, false],
    ['c', 'presentMatch', true, true, false],
    ['d', 'stringMatch', 'prefix', true, true],
    [':method', 'stringMatch', 'exact', false, false],
    [':authority', 'stringMatch', 'prefix', false, false],
    [':scheme', 'stringMatch', 'exact', false, false],
  ])
  assert.deepEqual(
    match?.queryParameters.map(({ name, queryParameterMatchSpecifier }) => [name, queryParameterMatchSpecifier.case]),
    [
      ['p', 'presentMatch'],
      ['q', 'stringMatch'],
    ],
  )
})

test('weights stay as they are, a destination of weight 0 among several is left out', () => {
  const { clusterSpecifier } = forwardOf(
    '{ route: [{ destination: { host: reviews, subset: v1 }, weight: 3 }, { destination: { host: reviews, subset: v2 }, weight: 0 }, { destination: { host: other.test, port: { number: 81 } }, weight: 1, headers: { request: { set: { host: x.test, a: b } } } }] }',
  )
  const clusters = clusterSpecifier.case === 'weightedClusters' ? clusterSpecifier.value.clusters : []
  assert.deepEqual(
    clusters.map(({ name, weight }) => [name, weight]),
    [
      [`outbound|9080|v1|${host}`, 3],
      ['outbound|81||other.test', 1],
    ],
  )
  assert.deepEqual(clusters[1]?.hostRewriteSpecifier, { case: 'hostRewriteLiteral', value: 'x.test' })
  assert.deepEqual(
    clusters[1]?.requestHeadersToAdd.map(({ header }) => header?.key),
    ['a'],
  )
})

test('a destination without port means the only port of its service, else the port that was called', () => {
  const only = serviceYaml('web', '[{ name: http, port: 80 }]')
  const several = serviceYaml('web', '[{ name: http, port: 80 }, { name: b, port: 81 }]')
  const cluster = (more: string) => forwardOf('{ route: [{ destination: { host: web } }] }', {}, more).clusterSpecifier.value
  assert.equal(cluster(only), 'outbound|80||web.default.svc.cluster.local')
  assert.equal(cluster(several), 'outbound|9080||web.default.svc.cluster.local')
})

test('rewrites of path and authority', () => {
  const prefix = forwardOf(`{ match: [{ uri: { prefix: /a } }], rewrite: { uri: /b, authority: x.test }, ${to} }`)
  assert.equal(prefix.prefixRewrite, '/b')
  assert.deepEqual(prefix.hostRewriteSpecifier, { case: 'hostRewriteLiteral', value: 'x.test' })
  const regex = forwardOf(`{ rewrite: { uriRegexRewrite: { match: "/(.*)", rewrite: '/x/\\1' } }, ${to} }`).regexRewrite
  assert.deepEqual([regex?.pattern?.regex, regex?.substitution], ['/(.*)', '/x/\\1'])
})

test('redirects leave out the port that the scheme means by itself', () => {
  const redirect = (spec: string) => {
    const action = onlyRoute(`{ redirect: { ${spec} } }`)?.action
    return action?.case === 'redirect' ? action.value : undefined
  }
  assert.equal(redirect('scheme: https, port: 443')?.portRedirect, 0)
  assert.equal(redirect('scheme: https, port: 8443')?.portRedirect, 8443)
  assert.equal(redirect('derivePort: FROM_REQUEST_PORT')?.portRedirect, 9080)
  assert.deepEqual(redirect('uri: /x')?.pathRewriteSpecifier, { case: 'pathRedirect', value: '/x' })
  assert.equal(redirect('uri: /x, redirectCode: 308')?.responseCode, 4)
})

test('a direct response has its status and body', () => {
  const action = onlyRoute('{ directResponse: { status: 503, body: { string: closed } } }')?.action
  const value = action?.case === 'directResponse' ? action.value : undefined
  assert.deepEqual([value?.status, value?.body?.specifier.value], [503, 'closed'])
})

test('retries: statuses are told from conditions, attempts 0 is off', () => {
  const policy = forwardOf(
    `{ retries: { attempts: 3, retryOn: "5xx,409", perTryTimeout: 1s, backoff: 10ms }, ${to} }`,
  ).retryPolicy
  assert.equal(policy?.retryOn, '5xx,retriable-status-codes')
  assert.deepEqual([policy?.numRetries, policy?.retriableStatusCodes], [3, [409]])
  assert.equal(policy?.perTryTimeout && durationMs(policy.perTryTimeout), 1000)
  assert.equal(policy?.retryBackOff?.baseInterval && durationMs(policy.retryBackOff.baseInterval), 10)
  assert.deepEqual(forwardOf(`{ retries: { attempts: 1, retryOn: "+503" }, ${to} }`).retryPolicy?.retriableStatusCodes, [503])
  assert.equal(forwardOf(`{ retries: { attempts: 0 }, ${to} }`).retryPolicy, undefined)
  const remote = `{ retries: { attempts: 1, retryRemoteLocalities: true }, ${to} }`
  assert.equal(forwardOf(remote).retryPolicy?.retryPriority, undefined)
})

test('where the destination hashes, the key is on the route and a retry may go to the same host', () => {
  const hashing = istioYaml(
    'DestinationRule',
    'd',
    '{ host: reviews, trafficPolicy: { loadBalancer: { consistentHash: { httpCookie: { name: c, path: /p, ttl: 5s } } } } }',
  )
  const action = forwardOf(`{ ${to} }`, {}, hashing)
  const specifier = action.hashPolicy[0]?.policySpecifier
  assert.equal(specifier?.case, 'cookie')
  assert.deepEqual(specifier?.case === 'cookie' && [specifier.value.name, specifier.value.path], ['c', '/p'])
  assert.deepEqual(action.retryPolicy?.retryHostPredicate, [])
  const weighted = (weight: number) =>
    `{ route: [{ destination: { host: other }, weight: 9 }, { destination: { host: reviews }, weight: ${weight} }] }`
  assert.equal(forwardOf(weighted(1), {}, hashing).hashPolicy.length, 1)
  assert.equal(forwardOf(weighted(0), {}, hashing).hashPolicy.length, 0, 'nothing goes there')
})

test('a timeout is that of gRPC calls too', () => {
  const action = forwardOf(`{ timeout: 2s, ${to} }`)
  const max = action.maxStreamDuration?.grpcTimeoutHeaderMax
  assert.deepEqual([action.timeout && durationMs(action.timeout), max && durationMs(max)], [2000, 2000])
})

test('mirrors keep the host, and have their share', () => {
  const mirrors = forwardOf(
    `{ ${to}, mirrors: [{ destination: { host: shadow.test } }, { destination: { host: b.test }, percentage: { value: 12.5 } }, { destination: { host: c.test }, percentage: { value: 0 } }] }`,
  ).requestMirrorPolicies
  const seen = mirrors.map(({ cluster, runtimeFraction, disableShadowHostSuffixAppend }) => [
    cluster,
    runtimeFraction?.defaultValue?.numerator,
    disableShadowHostSuffixAppend,
  ])
  assert.deepEqual(seen, [
    ['outbound|9080||shadow.test', 1_000_000, true],
    ['outbound|9080||b.test', 125_000, true],
  ])
})

test('faults are overrides of the fault filter', () => {
  const route = onlyRoute(
    `{ fault: { delay: { fixedDelay: 5s, percentage: { value: 0.1 } }, abort: { grpcStatus: UNAVAILABLE, percentage: { value: 10 } } }, ${to} }`,
  )
  const { delay, abort } = unpack(route?.typedPerFilterConfig['envoy.filters.http.fault'], HTTPFaultSchema)
  assert.equal(delay?.percentage?.numerator, 1000)
  assert.deepEqual(abort?.errorType, { case: 'grpcStatus', value: 14 })
})

test('CORS is for proxies', () => {
  const http = `{ corsPolicy: { allowOrigins: [{ exact: "http://a" }], maxAge: 1h }, ${to} }`
  assert.deepEqual(Object.keys(onlyRoute(http)?.typedPerFilterConfig ?? {}), [])
  const routes = translate(service + virtualService(http), { kind: 'envoy' }).routes('9080')
  const cors = unpack(routes[0]?.typedPerFilterConfig['envoy.filters.http.cors'], CorsPolicySchema)
  assert.deepEqual([cors.maxAge, cors.allowOriginStringMatch[0]?.matchPattern.value], ['3600', 'http://a'])
})

test('headers are set before they are added, by name; those of an only destination come after those of the rule', () => {
  const route = onlyRoute(
    '{ headers: { request: { set: { b: "1", a: "2" }, add: { c: "3" }, remove: [d] }, response: { remove: [e] } }, route: [{ destination: { host: reviews }, headers: { request: { set: { z: "4" } } } }] }',
  )
  assert.deepEqual(
    route?.requestHeadersToAdd.map(({ header, appendAction }) => [header?.key, appendAction]),
    [
      ['a', 2],
      ['b', 2],
      ['c', 0],
      ['z', 2],
    ],
  )
  assert.deepEqual([route?.requestHeadersToRemove, route?.responseHeadersToRemove], [['d'], ['e']])
})
