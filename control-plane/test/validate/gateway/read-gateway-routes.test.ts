import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, decodeGood, linesOf } from '../../support/documents.ts'
import { routeYaml } from '../../support/gateway.ts'
import { serviceYaml } from '../../support/translate.ts'

const to = 'backendRefs: [{ name: reviews, port: 9080 }]'

/** The errors of a route with one rule, without the name of the route. */
const errorsOf = (kind: 'HTTPRoute' | 'GRPCRoute', rule: string) =>
  linesOf(decode(routeYaml(kind, `[${rule}]`)).problems, 'error').map(line => line.replace(/^.*Route default\/route: /, ''))

const warningsOf = (yaml: string) => linesOf(decode(yaml).problems, 'warning')

test('an error names file, line, column, object and field, and the whole route is refused', () => {
  const { documents, problems } = decode(`apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: calls }
spec:
  parentRefs: [{ group: "", kind: Service, name: greeter.default }]
  rules:
  - matches:
    - method: { service: a.1b, method: x/y }
    backendRefs:
    - { name: a }
    timeouts: { request: 1s }
`)
  assert.deepEqual([...linesOf(problems, 'error')].sort(), [
    'mesh.yaml:10:7: GRPCRoute default/calls: spec.rules[0].backendRefs[0].port: is required',
    'mesh.yaml:11:5: GRPCRoute default/calls: spec.rules[0].timeouts: is not a field',
    'mesh.yaml:5:44: GRPCRoute default/calls: spec.parentRefs[0].name: is not the name of a Service: "greeter.default"',
    'mesh.yaml:8:17: GRPCRoute default/calls: spec.rules[0].matches[0].method.service: is not a name of gRPC: "a.1b"',
    'mesh.yaml:8:32: GRPCRoute default/calls: spec.rules[0].matches[0].method.method: is not a name of gRPC: "x/y"',
  ])
  assert.deepEqual(documents.gatewayRoutes, [])
})

test('matches are checked as the Gateway API does', () => {
  const http = (match: string) => errorsOf('HTTPRoute', `{ matches: [${match}], ${to} }`)
  const at = 'spec.rules[0].matches[0]'
  assert.deepEqual(http('{ path: { value: a } }'), [`${at}.path.value: must begin with /, got "a"`])
  assert.deepEqual(http('{ path: { value: /a//b } }'), [`${at}.path.value: must not have //, which no normalised path has`])
  assert.deepEqual(http('{ path: { type: Exact, value: /a/.. } }'), [
    `${at}.path.value: must not have /.., which no normalised path has`,
  ])
  assert.deepEqual(http('{ path: { value: /a%2Fb } }'), [`${at}.path.value: must not have an escaped slash`])
  assert.deepEqual(http('{ path: { type: Exact, value: "/a b" } }'), [`${at}.path.value: is not a path: "/a b"`])
  assert.match(http('{ path: { type: RegularExpression, value: "/(" } }')[0] ?? '', /is not an RE2 regular expression/)
  assert.match(http('{ method: get }')[0] ?? '', /method: must be one of GET, HEAD/)
  assert.deepEqual(http('{ queryParams: [{ name: "a b", value: x }] }'), [`${at}.queryParams[0].name: "a b" is not a name`])
  assert.deepEqual(http('{ headers: [{ name: a, value: "" }] }'), [`${at}.headers[0].value: must not be empty`])
  const grpc = (match: string) => errorsOf('GRPCRoute', `{ matches: [${match}], ${to} }`)
  assert.deepEqual(grpc('{ method: {} }'), [`${at}.method: must have service or method`])
  assert.deepEqual(grpc('{ method: { type: Prefix, service: a } }'), [
    `${at}.method.type: must be one of Exact, RegularExpression, got "Prefix"`,
  ])
  assert.deepEqual(grpc('{ method: { type: RegularExpression, service: "a.*", method: "Get.*" } }'), [])
})

test('filters are checked, and those that nobody obeys are refused', () => {
  const filters = (kind: 'HTTPRoute' | 'GRPCRoute', list: string) => errorsOf(kind, `{ filters: [${list}], ${to} }`)
  const at = 'spec.rules[0].filters[0]'
  assert.deepEqual(filters('GRPCRoute', '{ type: ExtensionRef, extensionRef: { group: x, kind: Y, name: z } }'), [
    `${at}.type: ExtensionRef is not supported: there are no other filters than those of the Gateway API`,
  ])
  assert.deepEqual(filters('HTTPRoute', '{ type: CORS, cors: {} }'), [
    `${at}.type: CORS is not supported: no browser calls a client of the mesh`,
  ])
  assert.deepEqual(filters('GRPCRoute', '{ type: URLRewrite }'), [
    `${at}.type: must be one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, ExtensionRef, got "URLRewrite"`,
  ])
  assert.deepEqual(filters('GRPCRoute', '{ type: RequestHeaderModifier, responseHeaderModifier: {} }'), [
    `${at}.responseHeaderModifier: is not for a filter of type RequestHeaderModifier`,
    `${at}.requestHeaderModifier: is required`,
  ])
  const modifier = '{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [a] } }'
  assert.deepEqual(filters('GRPCRoute', `${modifier}, ${modifier}`), [
    'spec.rules[0].filters[1]: repeats the filter RequestHeaderModifier',
  ])
  const mirror = (what: string) => `{ type: RequestMirror, requestMirror: { backendRef: { name: m, port: 1 }, ${what} } }`
  assert.deepEqual(filters('GRPCRoute', `${mirror('percent: 1')}, ${mirror('fraction: { numerator: 1 }')}`), [])
  assert.deepEqual(filters('GRPCRoute', mirror('percent: 1, fraction: { numerator: 3, denominator: 2 }')), [
    `${at}.requestMirror: may have only one of percent and fraction`,
    `${at}.requestMirror.fraction: must have a numerator that is not above the denominator`,
  ])
  assert.deepEqual(errorsOf('GRPCRoute', `{ backendRefs: [{ name: a, port: 1, filters: [${mirror('percent: 1')}] }] }`), [
    'spec.rules[0].backendRefs[0].filters[0].type: RequestMirror is not supported: put it into the filters of the rule',
  ])
})

test('a redirect and a rewrite fit the match and what else the rule has', () => {
  const path = 'path: { type: ReplacePrefixMatch, replacePrefixMatch: /x }'
  const redirect = (match: string, more = '') =>
    errorsOf('HTTPRoute', `{ matches: [${match}], filters: [{ type: RequestRedirect, requestRedirect: { ${path} } }]${more} }`)
  assert.deepEqual(redirect('{ path: { value: /a } }'), [])
  const needs = 'spec.rules[0].filters[0].requestRedirect.path: needs exactly one match, of type PathPrefix'
  assert.deepEqual(redirect('{ path: { type: Exact, value: /a } }'), [needs])
  assert.deepEqual(redirect('{ path: { value: /a } }, { path: { value: /b } }'), [needs])
  assert.deepEqual(redirect('{ path: { value: /a } }', `, ${to}`), [
    'spec.rules[0].backendRefs: excludes the filter RequestRedirect',
  ])
})

test('backends are services and hosts', () => {
  const errors = (ref: string) => errorsOf('GRPCRoute', `{ backendRefs: [{ ${ref} }] }`)
  const at = 'spec.rules[0].backendRefs[0]'
  assert.deepEqual(errors('name: a, namespace: other, port: 1'), [])
  assert.deepEqual(errors('group: networking.istio.io, kind: Hostname, name: api.test, port: 1'), [])
  assert.deepEqual(errors('name: a.default, port: 1'), [`${at}.name: must be the name of a Service, not a host: "a.default"`])
  assert.deepEqual(errors('group: example.com, kind: Backend, name: a, port: 1'), [
    `${at}.kind: must be a Service, or a Hostname of networking.istio.io, got Backend of example.com`,
  ])
  assert.deepEqual(errors('name: a, port: 1, weight: -1'), [`${at}.weight: must be in [0, 1000000], got -1`])
})

test('timeouts, retries and sessions', () => {
  const errors = (what: string) => errorsOf('HTTPRoute', `{ ${what}, ${to} }`)
  assert.deepEqual(errors('timeouts: { request: 1s, backendRequest: 2s }'), [
    'spec.rules[0].timeouts.backendRequest: must not be longer than request',
  ])
  assert.deepEqual(errors('timeouts: { request: 0s, backendRequest: 2s }'), [])
  assert.deepEqual(errors('timeouts: { request: 1.5s }'), [
    'spec.rules[0].timeouts.request: must be a duration such as 10s, 500ms or 1h30m, got "1.5s"',
  ])
  assert.deepEqual(errors('retry: { codes: [200] }'), ['spec.rules[0].retry.codes[0]: must be in [400, 599], got 200'])
  assert.deepEqual(errors('sessionPersistence: { type: Cookie }'), [
    'spec.rules[0].sessionPersistence: is not supported: write loadBalancer.consistentHash in a DestinationRule',
  ])
})

test('no more than the Gateway API allows, and each name of a rule once', () => {
  const many = (count: number, one: string) => `[${Array(count).fill(one).join(', ')}]`
  const errors = (rules: string) =>
    linesOf(decode(routeYaml('GRPCRoute', rules)).problems, 'error').map(line => line.split(': ').slice(2))
  assert.deepEqual(errors(many(17, `{ ${to} }`)), [['spec.rules', 'must have at most 16 elements, got 17']])
  assert.deepEqual(errors(many(3, `{ matches: ${many(43, '{}')}, ${to} }`)), [
    ['spec.rules', 'must have at most 128 matches in all rules, got 129'],
  ])
  assert.deepEqual(errors(`[{ name: a, ${to} }, { name: a, ${to} }]`), [
    ['spec.rules[1].name', 'is the name of another rule', 'a'],
  ])
})

test('a route for gateways alone is left to them, whatever is in it', () => {
  const { documents, problems } = decode(`apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: { name: edge }
spec: { parentRefs: [{ name: gateway }], hostnames: [shop.example.com], rules: [{ filters: [{ type: CORS, cors: {} }] }] }
`)
  assert.deepEqual(linesOf(problems, 'error'), [])
  assert.deepEqual(linesOf(problems, 'warning'), [
    'mesh.yaml:4:22: HTTPRoute default/edge: spec.parentRefs[0]: has no effect here: calls are ruled by their Service (group: "", kind: Service), not by Gateway',
  ])
  assert.deepEqual(documents.gatewayRoutes[0]?.rules, [])
})

test('other kinds of the Gateway API are named, and versions that are not known are refused', () => {
  const of = (apiVersion: string, kind: string) =>
    decode(`apiVersion: gateway.networking.k8s.io/${apiVersion}\nkind: ${kind}\nmetadata: { name: a }\n`).problems.map(
      ({ severity, message }) => `${severity}: ${message}`,
    )
  const only = 'warning: has no effect here: only HTTPRoute and GRPCRoute that are bound to services have'
  assert.deepEqual(of('v1', 'Gateway'), [only])
  assert.deepEqual(of('v1alpha2', 'TCPRoute'), [only])
  assert.deepEqual(of('v1beta1', 'ReferenceGrant'), ['warning: has no effect here: calls inside the mesh need no grant'])
  assert.deepEqual(of('v1alpha2', 'GRPCRoute'), [
    'error: is not known in gateway.networking.k8s.io/v1alpha2: write gateway.networking.k8s.io/v1',
  ])
})

test('what has no effect is said', () => {
  const text = (yaml: string) => warningsOf(yaml).map(line => line.replace(/^mesh.yaml:\d+:\d+: [A-Z]+Route default\//i, ''))
  const service = serviceYaml('reviews')
  const all = `[{ ${to} }]`
  assert.deepEqual(text(service + routeYaml('HTTPRoute', all)), [])
  assert.deepEqual(text(service + routeYaml('HTTPRoute', all, '', ', port: 81')), [
    'route: spec.parentRefs: Service default/reviews has no port 81',
  ])
  assert.deepEqual(text(service + routeYaml('GRPCRoute', all, '', ', sectionName: grpc')), [
    'route: spec.parentRefs: Service default/reviews has no port grpc',
  ])
  assert.deepEqual(text(service + routeYaml('GRPCRoute', `[{ ${to} }, { ${to} }]`)), [
    'route: spec.rules[1]: is never reached: spec.rules[0] matches everything',
  ])
  const second = routeYaml('HTTPRoute', all).replace('name: route', 'name: second')
  assert.deepEqual(text(service + routeYaml('HTTPRoute', all) + second), [
    'second: spec.rules[0]: is never reached: HTTPRoute default/route matches everything',
  ])
  assert.deepEqual(text(service + routeYaml('GRPCRoute', all) + second), [
    'second: spec.parentRefs: has no effect on the ports of reviews.default.svc.cluster.local that GRPCRoute default/route rules',
  ])
  assert.deepEqual(
    text(
      service +
        routeYaml('HTTPRoute', '[{ backendRefs: [{ group: networking.istio.io, kind: Hostname, name: api.test, port: 80 }] }]'),
    ),
    ['route: spec.rules[0]: no document defines api.test: its calls fail with 500'],
  )
})

test('beside a VirtualService it is said who rules', () => {
  const service = serviceYaml('reviews')
  const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { hosts: [reviews], http: [{ route: [{ destination: { host: reviews } }] }] }
---
`
  const text = (created: string) =>
    warningsOf(service + virtualService + routeYaml('HTTPRoute', `[{ ${to} }]`, `, creationTimestamp: "${created}"`)).map(line =>
      line.replace(/^mesh.yaml:\d+:\d+: /, ''),
    )
  const host = 'reviews.default.svc.cluster.local'
  assert.deepEqual(text('2026-02-01T00:00:00Z'), [
    `HTTPRoute default/route: spec.parentRefs: has no effect on ${host}, which VirtualService default/reviews rules, but for callers in default`,
  ])
  assert.deepEqual(text('2025-02-01T00:00:00Z'), [
    `VirtualService default/reviews: spec.hosts: has no effect on ${host}, which HTTPRoute default/route rules`,
  ])
})

test('of several entries for one name the first counts', () => {
  const rule = `[{ matches: [{ headers: [{ name: X-A, value: one }, { name: x-a, value: two }] }], filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: b, value: "1" }, { name: B, value: "2" }] } }], ${to} }]`
  const [route] = decodeGood(routeYaml('GRPCRoute', rule)).gatewayRoutes
  const [read] = route?.rules ?? []
  assert.deepEqual(read?.route.matches[0]?.headers, new Map([['x-a', { kind: 'exact', value: 'one' }]]))
  assert.deepEqual(read?.route.headers?.request.set, new Map([['b', '1']]))
  assert.equal(warningsOf(routeYaml('GRPCRoute', rule)).length, 2)
})
