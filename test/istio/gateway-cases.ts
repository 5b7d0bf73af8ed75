import type { CaseRequest } from './cases.ts'

/** Where callers are: the first unless a case says otherwise. */
export const callerNamespaces = ['default', 'other'] as const

/** Routes of the Gateway API for one service, and what is asked of it. `SERVICE` in the YAML stands for the name of the service. */
export interface GatewayCase {
  readonly name: string
  /** Default HTTPRoute. */
  readonly kind?: 'GRPCRoute'
  /** `spec.rules` of the route. */
  readonly rules: string
  /** What is added to the reference to the service, as `, port: 9080`. */
  readonly parent?: string
  /** Whole documents added to those. */
  readonly more?: string
  /** It is not the service that is asked but `SERVICE-entry.test`. */
  readonly asksEntry?: boolean
  readonly requests: readonly CaseRequest[]
  /** The caller's namespace. Default `default`, where everything is. */
  readonly caller?: (typeof callerNamespaces)[number]
  /** The statuses here, where the Gateway API wants something else than Istio does, and why. */
  readonly differs?: { readonly statuses: readonly number[]; readonly because: string }
}

const to = (...names: readonly string[]) => `backendRefs: [${names.map(name => `{ name: ${name}, port: 9080 }`).join(', ')}]`
const get = (path: string, headers: Readonly<Record<string, string>> = {}): CaseRequest => ({ path, headers })
const gets = (...paths: readonly string[]) => paths.map(path => get(path))

/** A rule for `match` that leads to v2, and one for all the rest to v1. */
const matching = (match: string) => `
  - { matches: [${match}], ${to('v2')} }
  - { matches: [{ path: { type: PathPrefix, value: / } }], ${to('v1')} }`
const calls = (match: string) => `
  - { matches: [${match}], ${to('v2')} }
  - ${to('v1')}`
/** A rule that leads to v2 and does something on the way. */
const doing = (what: string, match = 'path: { type: PathPrefix, value: /a }') => `
  - matches: [{ ${match} }]
    ${what}
    ${to('v2')}
  - { matches: [{ path: { type: PathPrefix, value: / } }], ${to('v1')} }`

const route = (name: string, kind: string, rules: string, more = '', service = 'SERVICE') => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}${more} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${service}, namespace: default }]
  rules: ${rules}`
const virtualService = (name: string, to: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [SERVICE.default.svc.cluster.local]
  http: [{ route: [{ destination: { host: ${to}.default.svc.cluster.local } }] }]`

const prefix = (path: string) => `path: { type: PathPrefix, value: ${path} }`
const exact = (path: string) => `path: { type: Exact, value: ${path} }`
const regex = (path: string) => `path: { type: RegularExpression, value: "${path}" }`
const all = prefix('/')
const unavailable = 'a call without backend is UNAVAILABLE in the Gateway API, and that is 503'

/** The table: what is asked of Istio, and of us. */
export const gatewayCases: readonly GatewayCase[] = [
  // Match: path
  {
    name: 'a prefix is whole segments',
    rules: matching(`{ ${prefix('/a')} }`),
    requests: gets('/a', '/a/', '/a/b', '/ab', '/A', '/a?x=1'),
  },
  {
    name: 'a final slash of a prefix is ignored',
    rules: matching(`{ ${prefix('/a/b/')} }`),
    requests: gets('/a/b', '/a/b/', '/a/b/c', '/a/bc'),
  },
  { name: 'an exact path', rules: matching(`{ ${exact('/a/b')} }`), requests: gets('/a/b', '/a/b?x=1', '/a/b/', '/a') },
  {
    name: 'a regular expression is the whole path',
    rules: `
  - { matches: [{ ${regex('/v[0-9]+/x|/y')} }], ${to('v2')} }
  - { matches: [{ ${prefix('/v3')} }], ${to('v1')} }`,
    requests: gets('/v1/x', '/v1/xx', '/y', '/v3/x', '/z'),
  },
  {
    name: 'several matches are alternatives',
    rules: matching(`{ ${exact('/a')} }, { ${prefix('/b')} }`),
    requests: gets('/a', '/b/c', '/c'),
  },
  // Match: the rest
  {
    name: 'a header',
    rules: matching(`{ ${all}, headers: [{ name: X-A, value: one }] }`),
    requests: [get('/', { 'x-a': 'one' }), get('/', { 'x-a': 'One' }), get('/')],
  },
  {
    name: 'a header by regular expression',
    rules: matching(`{ ${all}, headers: [{ type: RegularExpression, name: x-a, value: "o.e" }] }`),
    requests: [get('/', { 'x-a': 'one' }), get('/', { 'x-a': 'zone' })],
  },
  {
    name: 'a method',
    rules: matching(`{ ${all}, method: POST }`),
    requests: [{ path: '/', method: 'POST' }, get('/')],
  },
  {
    name: 'query parameters',
    rules: matching(`{ ${all}, queryParams: [{ name: a, value: "1" }, { type: RegularExpression, name: b, value: "x+" }] }`),
    requests: gets('/?a=1&b=xx', '/?a=1', '/?b=x&a=1', '/?a=1&b=y'),
  },
  {
    name: 'everything in a match must hold',
    rules: matching(`{ ${prefix('/a')}, method: GET, headers: [{ name: x-a, value: one }] }`),
    requests: [
      get('/a', { 'x-a': 'one' }),
      get('/a'),
      get('/b', { 'x-a': 'one' }),
      { path: '/a', method: 'PUT', headers: { 'x-a': 'one' } },
    ],
  },
  { name: 'nothing matches', rules: `[{ matches: [{ ${exact('/only')} }], ${to('v1')} }]`, requests: gets('/only', '/other') },
  // Precedence
  {
    name: 'an exact path before a prefix, the longer before the shorter, however they are written',
    rules: `
  - { matches: [{ ${all} }], ${to('v1')} }
  - { matches: [{ ${prefix('/a')} }], ${to('v2')} }
  - { matches: [{ ${prefix('/a/b')} }], ${to('v3')} }
  - { matches: [{ ${exact('/a/b/c')} }], ${to('v1')} }`,
    requests: gets('/x', '/a/x', '/a/b/x', '/a/b/c'),
  },
  {
    name: 'a method before headers, more headers before fewer, then query parameters',
    rules: `
  - { matches: [{ ${all}, queryParams: [{ name: q, value: "1" }] }], ${to('v1')} }
  - { matches: [{ ${all}, headers: [{ name: x-a, value: one }] }], ${to('v2')} }
  - { matches: [{ ${all}, headers: [{ name: x-a, value: one }, { name: x-b, value: two }] }], ${to('v3')} }
  - { matches: [{ ${all}, method: POST }], ${to('v1')} }`,
    requests: [
      get('/?q=1', { 'x-a': 'one' }),
      get('/?q=1'),
      get('/', { 'x-a': 'one', 'x-b': 'two' }),
      { path: '/', method: 'POST', headers: { 'x-a': 'one', 'x-b': 'two' } },
      get('/'),
    ],
  },
  {
    name: 'a prefix before a regular expression',
    rules: `
  - { matches: [{ ${regex('/a/.*')} }], ${to('v2')} }
  - { matches: [{ ${prefix('/a/b')} }], ${to('v1')} }`,
    requests: gets('/a/b/c', '/a/c'),
  },
  {
    name: 'the first of equals',
    rules: `[{ matches: [{ ${exact('/a')} }], ${to('v1')} }, { matches: [{ ${exact('/a')} }], ${to('v2')} }]`,
    requests: gets('/a'),
  },
  {
    name: 'routes of a service are merged, the older first where they are equal',
    rules: matching(`{ ${prefix('/a')} }`),
    more: route(
      'SERVICE-old',
      'HTTPRoute',
      `[{ matches: [{ ${prefix('/a')} }, { ${prefix('/a/b/c')} }], ${to('v3')} }]`,
      ', namespace: default, creationTimestamp: "2020-01-01T00:00:00Z"',
    ),
    requests: gets('/a', '/a/b/c', '/x'),
  },
  { name: 'a port that is called', parent: ', port: 9080', rules: matching(`{ ${prefix('/a')} }`), requests: gets('/a', '/b') },
  { name: 'a port that is not called', parent: ', port: 9081', rules: `[{ ${to('v2')} }]`, requests: gets('/a') },
  // Backends
  {
    name: 'weights',
    rules: `[{ backendRefs: [{ name: v1, port: 9080, weight: 3 }, { name: v2, port: 9080 }] }]`,
    requests: [{ path: '/', times: 600 }],
  },
  {
    name: 'a weight of 0',
    rules: `[{ backendRefs: [{ name: v1, port: 9080, weight: 0 }, { name: v2, port: 9080 }] }]`,
    requests: gets('/', '/a', '/b'),
  },
  {
    name: 'no backends',
    rules: `[{ matches: [{ ${prefix('/a')} }] }, { matches: [{ ${all} }], ${to('v1')} }]`,
    requests: gets('/a', '/'),
  },
  { name: 'only weights of 0', rules: `[{ backendRefs: [{ name: v1, port: 9080, weight: 0 }] }]`, requests: gets('/') },
  { name: 'a backend that does not exist', rules: `[{ ${to('nobody')} }]`, requests: gets('/') },
  { name: 'a share that does not exist', rules: `[{ ${to('v1', 'nobody')} }]`, requests: [{ path: '/', times: 600 }] },
  {
    name: 'a backend of another namespace, without a grant',
    rules: `[{ backendRefs: [{ name: far, namespace: other, port: 9080 }] }]`,
    requests: gets('/'),
  },
  // Filters
  {
    name: 'headers of the request',
    rules: doing(
      `filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-C-Set, value: a }], add: [{ name: x-c-add, value: b }], remove: [x-c-gone] } }]`,
    ),
    requests: [get('/a', { 'x-c-set': 'was', 'x-c-add': 'was', 'x-c-gone': 'was' }), get('/')],
  },
  {
    name: 'headers of the response',
    rules: doing(
      `filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-c-version, value: a }], add: [{ name: x-c-add, value: b }] } }]`,
    ),
    requests: gets('/a', '/'),
  },
  {
    name: 'headers for one backend',
    rules: `
  - backendRefs:
    - { name: v1, port: 9080, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-c-by, value: backend }] } }] }`,
    requests: gets('/'),
  },
  {
    name: 'a prefix is replaced',
    rules: doing(
      `filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /x/y/ } } }]`,
    ),
    requests: gets('/a', '/a/b?q=1', '/a/'),
  },
  {
    name: 'a prefix is removed',
    rules: doing(`filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]`),
    requests: gets('/a', '/a/b?q=1', '/a/'),
  },
  {
    name: 'the path is replaced',
    rules: doing(`filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /x } } }]`),
    requests: gets('/a', '/a/b?q=1'),
  },
  {
    name: 'the host is replaced',
    rules: doing(`filters: [{ type: URLRewrite, urlRewrite: { hostname: else.where } }]`),
    requests: gets('/a'),
  },
  {
    name: 'a redirect',
    rules: `[{ matches: [{ ${prefix('/a')} }], filters: [{ type: RequestRedirect, requestRedirect: { hostname: else.where, statusCode: 301 } }] }]`,
    requests: gets('/a/b?q=1'),
  },
  {
    name: 'a redirect of scheme and prefix',
    rules: `[{ matches: [{ ${prefix('/a')} }], filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 302, path: { type: ReplacePrefixMatch, replacePrefixMatch: /x } } }] }]`,
    requests: gets('/a/b?q=1', '/a'),
  },
  {
    name: 'a redirect of port and path',
    rules: `[{ matches: [{ ${prefix('/a')} }], filters: [{ type: RequestRedirect, requestRedirect: { port: 81, statusCode: 302, path: { type: ReplaceFullPath, replaceFullPath: /x } } }] }]`,
    requests: gets('/a/b?q=1'),
  },
  // Timeouts and retries
  { name: 'a timeout', rules: doing('timeouts: { request: 500ms }'), requests: [get('/a'), get('/a', { 'x-delay-ms': '3000' })] },
  {
    name: 'a timeout of the backend',
    rules: doing('timeouts: { request: 5s, backendRequest: 500ms }'),
    requests: [get('/a'), get('/a', { 'x-delay-ms': '3000' })],
  },
  { name: 'no timeout', rules: doing('timeouts: { request: 0s }'), requests: [get('/a', { 'x-delay-ms': '300' })] },
  {
    name: 'retries',
    rules: doing('retry: { codes: [500, 502], attempts: 3, backoff: 10ms }'),
    requests: [
      get('/a', { 'x-answer': '500' }),
      get('/a', { 'x-answer': '502', 'x-answer-times': '2' }),
      get('/a', { 'x-answer': '501' }),
    ],
  },
  { name: 'retries without a number', rules: doing('retry: { codes: [500] }'), requests: [get('/a', { 'x-answer': '500' })] },
  // Whose routes
  {
    name: 'routes of the namespace of the service are for callers of every namespace',
    rules: matching(`{ ${prefix('/a')} }`),
    caller: 'other',
    requests: gets('/a', '/b'),
  },
  {
    name: 'routes of another namespace are for its callers, before those of the service',
    rules: matching(`{ ${prefix('/a')} }`),
    more: route(
      'SERVICE-mine',
      'HTTPRoute',
      `[{ backendRefs: [{ name: v3, namespace: default, port: 9080 }] }]`,
      ', namespace: other',
    ),
    caller: 'other',
    requests: gets('/a', '/b'),
  },
  {
    name: 'and for nobody else',
    rules: matching(`{ ${prefix('/a')} }`),
    more: route(
      'SERVICE-mine',
      'HTTPRoute',
      `[{ backendRefs: [{ name: v3, namespace: default, port: 9080 }] }]`,
      ', namespace: other',
    ),
    requests: gets('/a', '/b'),
  },
  {
    name: 'routes of the own namespace before a VirtualService',
    rules: matching(`{ ${prefix('/a')} }`),
    more: virtualService('SERVICE', 'v3'),
    requests: gets('/a', '/b'),
  },
  {
    name: 'of the routes of the service and a VirtualService the older, for other callers',
    rules: matching(`{ ${prefix('/a')} }`),
    more: virtualService('SERVICE', 'v3'),
    caller: 'other',
    requests: gets('/a', '/b'),
  },
  {
    name: 'a ServiceEntry is called by its hosts',
    rules: '[]',
    more: `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: SERVICE-entry, namespace: default }
spec:
  hosts: [SERVICE-entry.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 9080, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: V3 } }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: SERVICE-entry, namespace: default }
spec:
  parentRefs: [{ group: networking.istio.io, kind: ServiceEntry, name: SERVICE-entry }]
  rules:
  - { matches: [{ ${prefix('/a')} }], ${to('v2')} }
  - { matches: [{ ${all} }], backendRefs: [{ group: networking.istio.io, kind: Hostname, name: SERVICE-entry.test, port: 9080 }] }`,
    asksEntry: true,
    requests: gets('/a', '/b'),
  },
  // GRPCRoute
  {
    name: 'a method of gRPC',
    kind: 'GRPCRoute',
    rules: calls('{ method: { service: a.B, method: C } }'),
    requests: gets('/a.B/C', '/a.B/CC', '/a.B/D', '/a.BB/C'),
  },
  {
    name: 'a service of gRPC',
    kind: 'GRPCRoute',
    rules: calls('{ method: { service: a.B } }'),
    requests: gets('/a.B/C', '/a.B/D', '/a.BB/C', '/a/C'),
  },
  {
    name: 'a method of any service',
    kind: 'GRPCRoute',
    rules: calls('{ method: { method: C } }'),
    requests: gets('/a.B/C', '/x/C', '/a.B/CC', '/C'),
  },
  {
    name: 'regular expressions of service and method',
    kind: 'GRPCRoute',
    rules: calls('{ method: { type: RegularExpression, service: "a\\\\..+", method: "Get.*" } }'),
    requests: gets('/a.B/Get', '/a.B/GetAll', '/a/Get', '/a.B/Set'),
  },
  {
    name: 'a service by regular expression',
    kind: 'GRPCRoute',
    rules: calls('{ method: { type: RegularExpression, service: "a\\\\.[A-Z]+" } }'),
    requests: gets('/a.B/Get', '/a.b/Get'),
  },
  {
    name: 'a method by regular expression',
    kind: 'GRPCRoute',
    rules: calls('{ method: { type: RegularExpression, method: "Get.+" } }'),
    requests: gets('/a.B/GetAll', '/a.B/Get'),
  },
  {
    name: 'a header of a call',
    kind: 'GRPCRoute',
    rules: calls('{ headers: [{ name: x-a, value: one }] }'),
    requests: [get('/a.B/C', { 'x-a': 'one' }), get('/a.B/C')],
  },
  {
    name: 'a method before its service before any, and with a header before without',
    kind: 'GRPCRoute',
    rules: `
  - ${to('v1')}
  - { matches: [{ headers: [{ name: x-a, value: one }] }], ${to('v3')} }
  - { matches: [{ method: { method: C } }], ${to('v2')} }
  - { matches: [{ method: { service: a.B } }], ${to('v1')} }
  - { matches: [{ method: { service: a.B, method: D } }], ${to('v2')} }
  - { matches: [{ method: { service: a.B, method: D }, headers: [{ name: x-a, value: one }] }], ${to('v3')} }`,
    requests: [
      get('/a.B/C'),
      get('/a.B/D'),
      get('/a.B/D', { 'x-a': 'one' }),
      get('/x/C'),
      get('/x/C', { 'x-a': 'one' }),
      get('/x/E', { 'x-a': 'one' }),
      get('/x/E'),
    ],
  },
  {
    name: 'filters of calls',
    kind: 'GRPCRoute',
    rules: `
  - filters:
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-c-set, value: a }], remove: [x-c-gone] } }
    - { type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: x-c-add, value: b }] } }
    backendRefs: [{ name: v1, port: 9080, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { add: [{ name: x-c-by, value: backend }] } }] }]`,
    requests: [get('/a.B/C', { 'x-c-gone': 'was' })],
  },
  {
    name: 'weights of calls',
    kind: 'GRPCRoute',
    rules: `[{ backendRefs: [{ name: v1, port: 9080, weight: 3 }, { name: v2, port: 9080 }] }]`,
    requests: [{ path: '/a.B/C', times: 600 }],
  },
  {
    name: 'a call without backends',
    kind: 'GRPCRoute',
    rules: '[{ matches: [{ method: { service: a.B } }] }]',
    requests: gets('/a.B/C', '/x/C'),
    differs: { statuses: [503, 404], because: unavailable },
  },
  {
    name: 'a call to a backend that does not exist',
    kind: 'GRPCRoute',
    rules: `[{ ${to('nobody')} }]`,
    requests: gets('/a.B/C'),
    differs: { statuses: [503], because: unavailable },
  },
  {
    name: 'a regular expression beside a path that takes everything',
    rules: matching(`{ ${regex('/v[0-9]+/.*')} }`),
    requests: gets('/v1/x', '/x'),
    differs: { statuses: [200, 200], because: 'Istio leaves out every rule that it sorts behind one that takes everything' },
  },
]
