import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, decodeGood, linesOf } from '../support/documents.ts'

const route = (spec: string, name = 'r', more = '') => `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: ${name}${more} }
spec:
  parentRefs: [{ group: "", kind: Service, name: echo, port: 50051 }]
${spec}
`
const echo = 'echo.default.svc.cluster.local'

/** The routes of `echo`: what they match, and where they lead to. */
function routesOf(yaml: string): readonly string[] {
  const { virtualServices } = decodeGood(yaml)
  const own = virtualServices.filter(({ hosts }) => hosts.includes(echo))
  assert.equal(own.length, 1)
  return (own[0]?.http ?? []).map(({ matches, action }) => {
    const [match] = matches
    const uri = match?.uri === undefined || match.uri.kind === 'present' ? '*' : `${match.uri.kind} ${match.uri.value}`
    const headers = [...(match?.headers ?? [])].map(([name, value]) => `${name} ${value.kind === 'present' ? '' : value.value}`)
    const to =
      action.kind === 'forward'
        ? action.destinations
            .map(({ destination, weight }) => `${destination.host.split('.')[0]}:${destination.port}*${weight}`)
            .join(' ')
        : action.kind === 'direct-response'
          ? String(action.status)
          : '?'
    return [uri, ...headers, match?.port ?? '-', to].join(', ')
  })
}

const to = (name: string) => `    backendRefs: [{ name: ${name}, port: 50051 }]`

test('a GRPCRoute matches by service and method, the closest first', () => {
  const yaml = route(`  rules:
  - matches: [{ method: { service: shop.Cart } }, { headers: [{ name: X-User, value: me }] }]
${to('a')}
  - matches: [{ method: { method: Find } }]
${to('b')}
  - matches: [{ method: { service: shop.Cart, method: Find }, headers: [{ type: RegularExpression, name: x, value: "a+" }] }]
${to('c')}
  - matches: [{ method: { service: shop.Cart, method: Find } }]
${to('d')}
  - matches: [{ method: { type: RegularExpression, service: "shop\\\\..*", method: "Get.*" } }]
${to('e')}
  - backendRefs: [{ name: f, port: 1, weight: 9 }, { name: g, port: 2 }]`)
  assert.deepEqual(routesOf(yaml), [
    'exact /shop.Cart/Find, x a+, 50051, c:50051*1',
    'exact /shop.Cart/Find, 50051, d:50051*1',
    'prefix /shop.Cart/, 50051, a:50051*1',
    'regex /(?:shop\\..*)/(?:Get.*), 50051, e:50051*1',
    'regex /[^/]+/Find, 50051, b:50051*1',
    '*, x-user me, 50051, a:50051*1',
    '*, 50051, f:1*9 g:2*1',
  ])
})

test('of two equal matches that of the oldest GRPCRoute wins', () => {
  const rule = (name: string) => `  rules: [{ backendRefs: [{ name: ${name}, port: 1 }] }]`
  const young = route(rule('young'), 'a', ', creationTimestamp: "2026-02-01T00:00:00Z"')
  const old = route(rule('old'), 'b', ', creationTimestamp: "2026-01-01T00:00:00Z"')
  assert.deepEqual(routesOf(`${young}---\n${old}`), ['*, 50051, old:1*1', '*, 50051, young:1*1'])
})

test('a rule without a backend is UNAVAILABLE', () => {
  assert.deepEqual(routesOf(route('  rules: [{ backendRefs: [] }, { backendRefs: [{ name: a, port: 1, weight: 0 }] }]')), [
    '*, 50051, 503',
    '*, 50051, 503',
  ])
})

test('filters change headers and mirror', () => {
  const { virtualServices } = decodeGood(
    route(`  rules:
  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: { set: [{ name: a, value: 5% }], add: [{ name: b, value: x }], remove: [c] }
    - { type: RequestMirror, requestMirror: { backendRef: { name: copy, port: 1 }, fraction: { numerator: 1, denominator: 4 } } }
    backendRefs:
    - name: a
      port: 1
      filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { remove: [d] } }]`),
  )
  const [http] = virtualServices[0]?.http ?? []
  assert.deepEqual(http?.headers?.request, { set: new Map([['a', '5%%']]), add: new Map([['b', 'x']]), remove: ['c'] })
  assert.ok(http?.action.kind === 'forward')
  assert.deepEqual(
    http.action.mirrors.map(({ destination, percentage }) => [destination.host, percentage]),
    [['copy.default.svc.cluster.local', 25]],
  )
  assert.deepEqual(http.action.destinations[0]?.headers?.response.remove, ['d'])
})

test('what nobody does here is an error with its place', () => {
  const { problems } = decode(
    route(`  rules:
  - filters: [{ type: ExtensionRef, extensionRef: { group: a, kind: b, name: c } }]
    backendRefs: [{ name: a, namespace: other, port: 1 }]
    sessionPersistence: { sessionName: x }
  - matches: [{ method: { service: "a/b" } }, { method: {} }]
    backendRefs: [{ kind: Bucket, name: a }]`),
  )
  assert.deepEqual([...linesOf(problems, 'error')].sort(), [
    'mesh.yaml:10:27: GRPCRoute default/r: spec.rules[1].matches[0].method.service: is not a name of gRPC: "a/b"',
    'mesh.yaml:10:49: GRPCRoute default/r: spec.rules[1].matches[1].method: must have service or method',
    'mesh.yaml:11:19: GRPCRoute default/r: spec.rules[1].backendRefs[0]: must be a Service',
    'mesh.yaml:7:17: GRPCRoute default/r: spec.rules[0].filters[0].type: ExtensionRef is not supported here',
    'mesh.yaml:8:30: GRPCRoute default/r: spec.rules[0].backendRefs[0].namespace: is another one, for which there is no ReferenceGrant: that kind is not read',
    'mesh.yaml:9:5: GRPCRoute default/r: spec.rules[0].sessionPersistence: is not supported',
  ])
})

test('a parent that is no service has no effect, and a VirtualService of the same service wins', () => {
  const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: g }
spec: { parentRefs: [{ name: gw }], rules: [{ backendRefs: [{ name: a, port: 1 }] }] }
`
  const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo }
spec: { hosts: [echo], http: [{ route: [{ destination: { host: echo } }] }] }
`
  const { problems, documents } = decode(
    `${gateway}---\n${route('  rules: [{ backendRefs: [{ name: a, port: 1 }] }]')}---\n${virtualService}`,
  )
  assert.deepEqual(documents.virtualServices.length, 1)
  assert.deepEqual(
    [...linesOf(problems, 'warning')]
      .filter(line => line.includes('GRPCRoute'))
      .map(line => line.replace(/^mesh\.yaml:[\d:]+ /, '')),
    [
      'GRPCRoute default/g: spec: has no effect: none of its parents is a Service',
      `GRPCRoute default/r: spec.parentRefs: has no effect: ${echo} has a VirtualService`,
    ],
  )
})
