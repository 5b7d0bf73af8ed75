/** A request to the host of a case. */
export interface CaseRequest {
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Asked so often that the split between backends can be told; the answer is the split. */
  readonly times?: number
}

/** Istio documents for one host, and what is asked of it. `HOST` in the YAML stands for the case's own host. */
export interface Case {
  readonly name: string
  /** `spec.http` of the VirtualService on the host; empty for none. */
  readonly http: string
  /** `spec.trafficPolicy` of the DestinationRule on the host. */
  readonly trafficPolicy?: string
  /** Whole documents added to those. */
  readonly more?: string
  /** No DestinationRule, hence no subsets. */
  readonly withoutSubsets?: boolean
  readonly requests: readonly CaseRequest[]
}

const to = (subset: string) => `route: [{ destination: { host: HOST, subset: ${subset} } }]`
const otherwise = `- ${to('v1')}`
const get = (path: string, headers: Readonly<Record<string, string>> = {}): CaseRequest => ({ path, headers })
const gets = (...paths: readonly string[]) => paths.map(path => get(path))

/** A rule that leads to v2 when `match` holds and to v1 otherwise. */
const matching = (match: string) => `- match: [${match}]\n  ${to('v2')}\n${otherwise}`
const answered = (status: number, more: Readonly<Record<string, string>> = {}) =>
  get('/', { 'x-answer': String(status), ...more })

/** The table: what is asked of Istio and Envoy, and of inmesh. */
export const cases: readonly Case[] = [
  // Match: path
  { name: 'uri exact', http: matching('{ uri: { exact: /a/b } }'), requests: gets('/a/b', '/a/b?x=1', '/a/b/', '/a', '/A/b') },
  {
    name: 'uri prefix is a byte prefix',
    http: matching('{ uri: { prefix: /api } }'),
    requests: gets('/api', '/apix', '/api/x', '/ap', '/API'),
  },
  { name: 'uri prefix with a slash', http: matching('{ uri: { prefix: /api/ } }'), requests: gets('/api', '/api/', '/api/x') },
  {
    name: 'uri regex matches the whole path',
    http: matching('{ uri: { regex: "/a/b|/c/d" } }'),
    requests: gets('/a/b', '/a/bEXTRA', '/XX/c/d', '/c/d?q=1'),
  },
  {
    name: 'uri regex with groups',
    http: matching('{ uri: { regex: "/v[0-9]+/items/([^/]+)" } }'),
    requests: gets('/v1/items/7', '/v12/items/a.b', '/v1/items/', '/v1/items/7/8'),
  },
  {
    name: 'ignoreUriCase exact',
    http: matching('{ uri: { exact: /Mixed }, ignoreUriCase: true }'),
    requests: gets('/mixed', '/MIXED', '/mixedx'),
  },
  {
    name: 'ignoreUriCase prefix',
    http: matching('{ uri: { prefix: /Mixed }, ignoreUriCase: true }'),
    requests: gets('/mixed/1', '/MIXEDUP', '/mix'),
  },
  {
    name: 'several uris are alternatives',
    http: matching('{ uri: { exact: /one } }, { uri: { prefix: /two } }'),
    requests: gets('/one', '/two/2', '/three'),
  },
  {
    name: 'the first rule wins',
    http: `- match: [{ uri: { prefix: /a } }]\n  ${to('v2')}\n- match: [{ uri: { exact: /a/b } }]\n  ${to('v3')}\n${otherwise}`,
    requests: gets('/a/b', '/b'),
  },
  { name: 'no rule matches', http: `- match: [{ uri: { exact: /only } }]\n  ${to('v1')}`, requests: gets('/only', '/other') },
  {
    name: 'a path is normalised before it is matched',
    http: matching('{ uri: { exact: /b } }'),
    requests: gets('/a/../b', '/%62', '/./b', '//b'),
  },
  { name: 'an escaped slash stays', http: matching('{ uri: { prefix: /a/b } }'), requests: gets('/a%2Fb', '/a/b') },

  // Match: headers
  {
    name: 'header exact',
    http: matching('{ headers: { end-user: { exact: jason } } }'),
    requests: [get('/', { 'end-user': 'jason' }), get('/', { 'end-user': 'Jason' }), get('/')],
  },
  {
    name: 'header prefix',
    http: matching('{ headers: { x-c-a: { prefix: ab } } }'),
    requests: [get('/', { 'x-c-a': 'abc' }), get('/', { 'x-c-a': 'bab' })],
  },
  {
    name: 'header regex',
    http: matching('{ headers: { x-c-a: { regex: "a|b+" } } }'),
    requests: [get('/', { 'x-c-a': 'bbb' }), get('/', { 'x-c-a': 'ab' }), get('/', { 'x-c-a': 'a' })],
  },
  {
    name: 'header presence',
    http: matching('{ headers: { x-c-a: {} } }'),
    requests: [get('/', { 'x-c-a': 'anything' }), get('/')],
  },
  {
    name: 'two headers must both match',
    http: matching('{ headers: { x-c-a: { exact: "1" }, x-c-b: { exact: "2" } } }'),
    requests: [get('/', { 'x-c-a': '1', 'x-c-b': '2' }), get('/', { 'x-c-a': '1' })],
  },
  {
    name: 'withoutHeaders value',
    http: matching('{ withoutHeaders: { x-c-a: { exact: nay } } }'),
    requests: [get('/', { 'x-c-a': 'nay' }), get('/', { 'x-c-a': 'yes' }), get('/')],
  },
  {
    name: 'withoutHeaders presence',
    http: matching('{ withoutHeaders: { x-c-a: {} } }'),
    requests: [get('/', { 'x-c-a': '1' }), get('/')],
  },
  {
    name: 'withoutHeaders prefix',
    http: matching('{ withoutHeaders: { x-c-a: { prefix: na } } }'),
    requests: [get('/', { 'x-c-a': 'nay' }), get('/', { 'x-c-a': 'on' }), get('/')],
  },
  {
    name: 'cookie by regex',
    http: matching('{ headers: { cookie: { regex: "^(.*?;)?(user=tester)(;.*)?$" } } }'),
    requests: [
      get('/', { cookie: 'user=tester' }),
      get('/', { cookie: 'a=b;user=tester;c=d' }),
      get('/', { cookie: 'user=other' }),
    ],
  },

  // Match: query, method, authority, scheme, port
  {
    name: 'query exact',
    http: matching('{ queryParams: { q: { exact: "1" } } }'),
    requests: gets('/?q=1', '/?q=2', '/?q=1&q=2', '/?q=2&q=1', '/?q=%31', '/'),
  },
  {
    name: 'query regex',
    http: matching('{ queryParams: { q: { regex: "[0-9]+" } } }'),
    requests: gets('/?q=12', '/?q=12a', '/?p=1'),
  },
  { name: 'query prefix', http: matching('{ queryParams: { q: { prefix: ab } } }'), requests: gets('/?q=abc', '/?q=cab') },
  { name: 'query presence', http: matching('{ queryParams: { q: {} } }'), requests: gets('/?q=', '/?q', '/?q=1', '/?qq=1') },
  {
    name: 'method exact',
    http: matching('{ method: { exact: POST } }'),
    requests: [{ path: '/', method: 'POST' }, get('/'), { path: '/', method: 'PUT' }],
  },
  {
    name: 'method regex',
    http: matching('{ method: { regex: "GET|HEAD" } }'),
    requests: [get('/'), { path: '/', method: 'DELETE' }],
  },
  { name: 'authority exact', http: matching('{ authority: { exact: "HOST:9080" } }'), requests: gets('/') },
  { name: 'authority prefix', http: matching('{ authority: { prefix: nothing } }'), requests: gets('/') },
  { name: 'scheme exact', http: matching('{ scheme: { exact: http } }'), requests: gets('/') },
  { name: 'scheme other', http: matching('{ scheme: { exact: https } }'), requests: gets('/') },
  { name: 'port', http: matching('{ port: 9080 }'), requests: gets('/') },
  { name: 'another port', http: matching('{ port: 9081 }'), requests: gets('/') },
  {
    name: 'all kinds together',
    http: matching(
      '{ uri: { prefix: /a }, method: { exact: GET }, headers: { x-c-a: { exact: "1" } }, queryParams: { q: { exact: "2" } } }',
    ),
    requests: [get('/a?q=2', { 'x-c-a': '1' }), get('/a?q=3', { 'x-c-a': '1' }), get('/b?q=2', { 'x-c-a': '1' }), get('/a?q=2')],
  },

  // Redirect and direct response
  { name: 'redirect uri', http: '- redirect: { uri: /new }', requests: gets('/old', '/old?q=1') },
  { name: 'redirect authority', http: '- redirect: { authority: elsewhere.test }', requests: gets('/old?q=1') },
  {
    name: 'redirect authority with port',
    http: '- redirect: { authority: elsewhere.test, port: 8443, scheme: https }',
    requests: gets('/x'),
  },
  { name: 'redirect scheme', http: '- redirect: { scheme: https }', requests: gets('/x') },
  { name: 'redirect code 302', http: '- redirect: { uri: /new, redirectCode: 302 }', requests: gets('/x') },
  {
    name: 'redirect code 307',
    http: '- redirect: { uri: /new, authority: elsewhere.test, redirectCode: 307 }',
    requests: gets('/x?y=z'),
  },
  { name: 'redirect code 308', http: '- redirect: { uri: /new, redirectCode: 308 }', requests: gets('/x') },
  { name: 'redirect derivePort', http: '- redirect: { scheme: https, derivePort: FROM_PROTOCOL_DEFAULT }', requests: gets('/x') },
  {
    name: 'redirect prefix',
    http: '- match: [{ uri: { prefix: /old } }]\n  redirect: { uri: "%PREFIX()%/new" }',
    requests: gets('/old/x'),
  },
  {
    name: 'direct response',
    http: '- directResponse: { status: 418, body: { string: "short and stout" } }',
    requests: gets('/'),
  },
  { name: 'direct response without body', http: '- directResponse: { status: 204 }', requests: gets('/') },
  { name: 'direct response 503', http: '- directResponse: { status: 503, body: { string: closed } }', requests: gets('/') },

  // Rewrite
  {
    name: 'rewrite prefix',
    http: `- match: [{ uri: { prefix: /api/ } }]\n  rewrite: { uri: / }\n  ${to('v1')}`,
    requests: gets('/api/x', '/api/x?y=1', '/api/'),
  },
  {
    name: 'rewrite exact',
    http: `- match: [{ uri: { exact: /old } }]\n  rewrite: { uri: /new }\n  ${to('v1')}`,
    requests: gets('/old', '/old?q=1'),
  },
  {
    name: 'rewrite prefix without slash',
    http: `- match: [{ uri: { prefix: /api } }]\n  rewrite: { uri: /v2 }\n  ${to('v1')}`,
    requests: gets('/api', '/api/x', '/apix'),
  },
  { name: 'rewrite without a match', http: `- rewrite: { uri: /all }\n  ${to('v1')}`, requests: gets('/x/y', '/') },
  {
    name: 'rewrite on a regex match',
    http: `- match: [{ uri: { regex: "/a/.*" } }]\n  rewrite: { uri: /new }\n  ${to('v1')}`,
    requests: gets('/a/b/c', '/a/b?q=1'),
  },
  {
    name: 'rewrite by regex',
    http: `- rewrite: { uriRegexRewrite: { match: "/items/([^/]+)/(.*)", rewrite: '/\\2/of/\\1' } }\n  ${to('v1')}`,
    requests: gets('/items/7/parts', '/items/7/parts?q=1', '/other'),
  },
  {
    name: 'rewrite by regex everywhere',
    http: `- rewrite: { uriRegexRewrite: { match: "a", rewrite: b } }\n  ${to('v1')}`,
    requests: gets('/a/xa/a'),
  },
  { name: 'rewrite authority', http: `- rewrite: { authority: other.test }\n  ${to('v1')}`, requests: gets('/x') },
  {
    name: 'rewrite uri and authority',
    http: `- match: [{ uri: { prefix: /a } }]\n  rewrite: { uri: /b, authority: other.test }\n  ${to('v1')}`,
    requests: gets('/a/1'),
  },

  // Weights and subsets
  {
    name: 'weights 80/20',
    http: '- route: [{ destination: { host: HOST, subset: v1 }, weight: 80 }, { destination: { host: HOST, subset: v2 }, weight: 20 }]',
    requests: [{ path: '/', times: 1000 }],
  },
  {
    name: 'weights of three',
    http: '- route: [{ destination: { host: HOST, subset: v1 }, weight: 50 }, { destination: { host: HOST, subset: v2 }, weight: 25 }, { destination: { host: HOST, subset: v3 }, weight: 25 }]',
    requests: [{ path: '/', times: 1000 }],
  },
  {
    name: 'weights need not make 100',
    http: '- route: [{ destination: { host: HOST, subset: v1 }, weight: 1 }, { destination: { host: HOST, subset: v3 }, weight: 3 }]',
    requests: [{ path: '/', times: 1000 }],
  },
  {
    name: 'weight 0 gets nothing',
    http: '- route: [{ destination: { host: HOST, subset: v1 }, weight: 0 }, { destination: { host: HOST, subset: v2 }, weight: 100 }]',
    requests: [{ path: '/', times: 100 }],
  },
  {
    name: 'no subset is every endpoint',
    http: '- route: [{ destination: { host: HOST } }]',
    trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }',
    requests: [{ path: '/', times: 300 }],
  },
  { name: 'no VirtualService at all', http: '', withoutSubsets: true, requests: [{ path: '/', times: 1000 }] },
  { name: 'an unknown subset', http: `- ${to('v9')}`, requests: gets('/') },
  {
    name: 'an unknown subset takes its share',
    http: '- route: [{ destination: { host: HOST, subset: v1 }, weight: 50 }, { destination: { host: HOST, subset: v9 }, weight: 50 }]',
    requests: [{ path: '/', times: 1000 }],
  },
  { name: 'a subset without endpoints', http: `- ${to('empty')}`, requests: gets('/') },
  { name: 'an unknown host', http: '- route: [{ destination: { host: nowhere.test } }]', requests: gets('/') },
  { name: 'round robin', http: otherwise, trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }', requests: gets('/') },
  { name: 'random', http: otherwise, trafficPolicy: '{ loadBalancer: { simple: RANDOM } }', requests: gets('/') },

  // Headers
  {
    name: 'request header set and add',
    http: `- headers: { request: { set: { x-c-a: mesh }, add: { x-c-b: more } } }\n  ${to('v1')}`,
    requests: [get('/', { 'x-c-a': 'mine', 'x-c-b': 'mine' }), get('/')],
  },
  {
    name: 'request header remove',
    http: `- headers: { request: { remove: [x-c-a] } }\n  ${to('v1')}`,
    requests: [get('/', { 'x-c-a': 'mine', 'x-c-b': 'kept' })],
  },
  {
    name: 'response header set and remove',
    http: `- headers: { response: { set: { x-c-a: mesh }, add: { x-c-b: more }, remove: [x-c-version] } }\n  ${to('v1')}`,
    requests: gets('/'),
  },
  {
    name: 'headers of a destination',
    http: '- route: [{ destination: { host: HOST, subset: v1 }, headers: { request: { set: { x-c-a: of-v1 } }, response: { set: { x-c-b: from-v1 } } } }]',
    requests: gets('/'),
  },
  {
    name: 'headers of rule and destination',
    http: '- headers: { request: { set: { x-c-a: rule }, add: { x-c-b: rule } } }\n  route: [{ destination: { host: HOST, subset: v1 }, headers: { request: { set: { x-c-a: destination }, add: { x-c-b: destination } } } }]',
    requests: gets('/'),
  },
  {
    name: 'a header copied by format',
    http: `- headers: { request: { set: { x-c-a: "%REQ(x-c-b)%" } } }\n  ${to('v1')}`,
    requests: [get('/', { 'x-c-b': 'copied' }), get('/', { 'x-c-a': 'mine' })],
  },
  {
    name: 'headers set to nothing',
    http: `- headers: { request: { set: { x-c-a: "" } } }\n  ${to('v1')}`,
    requests: [get('/', { 'x-c-a': 'mine' })],
  },
  {
    name: 'host set by headers',
    http: `- headers: { request: { set: { host: other.test } } }\n  ${to('v1')}`,
    requests: gets('/'),
  },
  {
    name: 'response headers on a direct response',
    http: '- headers: { response: { set: { x-c-a: mesh } } }\n  directResponse: { status: 200, body: { string: hi } }',
    requests: gets('/'),
  },

  // Retries and timeouts: the number of attempts is seen upstream
  {
    name: 'retry on 5xx',
    http: `- retries: { attempts: 2, retryOn: 5xx, backoff: 1ms }\n  ${to('v1')}`,
    requests: [answered(503), answered(500), answered(404), answered(503, { 'x-answer-times': '1' })],
  },
  {
    name: 'retry on gateway-error',
    http: `- retries: { attempts: 2, retryOn: gateway-error, backoff: 1ms }\n  ${to('v1')}`,
    requests: [answered(502), answered(504), answered(500)],
  },
  {
    name: 'retry on status codes',
    http: `- retries: { attempts: 1, retryOn: "409,503", backoff: 1ms }\n  ${to('v1')}`,
    requests: [answered(409), answered(503), answered(500)],
  },
  {
    name: 'retry on retriable-4xx',
    http: `- retries: { attempts: 1, retryOn: retriable-4xx, backoff: 1ms }\n  ${to('v1')}`,
    requests: [answered(409), answered(404)],
  },
  {
    name: 'retry on reset',
    http: `- retries: { attempts: 2, retryOn: reset, backoff: 1ms }\n  ${to('v1')}`,
    requests: [get('/', { 'x-reset': '1' }), get('/', { 'x-reset': '1', 'x-answer-times': '1' })],
  },
  { name: 'no retries', http: `- retries: { attempts: 0 }\n  ${to('v1')}`, requests: [answered(503)] },
  { name: 'the default retries leave 503 alone', http: otherwise, requests: [answered(503), answered(500)] },
  { name: 'the default retries leave a reset alone', http: otherwise, requests: [get('/', { 'x-reset': '1' })] },
  { name: 'attempts without retryOn', http: `- retries: { attempts: 3 }\n  ${to('v1')}`, requests: [answered(503)] },
  { name: 'a timeout', http: `- timeout: 0.2s\n  ${to('v1')}`, requests: [get('/', { 'x-delay-ms': '2000' }), get('/')] },
  {
    name: 'a per-try timeout is retried',
    http: `- retries: { attempts: 2, perTryTimeout: 0.2s, retryOn: 5xx, backoff: 1ms }\n  ${to('v1')}`,
    requests: [get('/', { 'x-delay-ms': '2000' }), get('/', { 'x-delay-ms': '2000', 'x-answer-times': '1' })],
  },
  {
    name: 'a per-try timeout without its condition',
    http: `- retries: { attempts: 2, perTryTimeout: 0.2s, retryOn: connect-failure, backoff: 1ms }\n  ${to('v1')}`,
    requests: [get('/', { 'x-delay-ms': '2000' })],
  },
  {
    name: 'the timeout ends the retries',
    http: `- timeout: 1s\n  retries: { attempts: 5, perTryTimeout: 0.4s, retryOn: 5xx, backoff: 1ms }\n  ${to('v1')}`,
    requests: [get('/', { 'x-delay-ms': '2000' })],
  },
  {
    name: 'an injected abort',
    http: `- fault: { abort: { httpStatus: 555, percentage: { value: 100 } } }\n  ${to('v1')}`,
    requests: gets('/'),
  },
  {
    name: 'an abort of nobody',
    http: `- fault: { abort: { httpStatus: 555, percentage: { value: 0 } } }\n  ${to('v1')}`,
    requests: gets('/'),
  },
]

/** The host of the case at `index`. */
export const hostOf = (index: number) => `c${String(index).padStart(2, '0')}.test`
