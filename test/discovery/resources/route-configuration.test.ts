import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf'
import { RouteConfigurationSchema } from '../../../src/discovery/gen/envoy/config/route/v3/route_pb.ts'
import type { ForwardAction } from '../../../src/discovery/model/route.ts'
import { resourceTypes } from '../../../src/discovery/resources/decode.ts'
import { Problems } from '../../../src/discovery/resources/problems.ts'
import { decodeRouteConfiguration } from '../../../src/discovery/resources/route-configuration.ts'
import { decodeGood, errorsOf } from '../../support/resource-errors.ts'

const toC: JsonObject = { match: { prefix: '/' }, route: { cluster: 'c' } }

function configuration(routes: readonly JsonObject[], host: JsonObject = {}, more: JsonObject = {}): JsonObject {
  return { name: 'r', virtualHosts: [{ name: 'v', domains: ['a'], routes: [...routes], ...host }], ...more }
}

const good = (json: JsonObject) => decodeGood(resourceTypes.routeConfiguration, RouteConfigurationSchema, json)
const errors = (json: JsonObject) => errorsOf(resourceTypes.routeConfiguration, RouteConfigurationSchema, json)
const routesOf = (...routes: JsonObject[]) => good(configuration(routes)).virtualHosts[0]?.routes ?? []

function actionOf(route: JsonObject, match: JsonObject = { prefix: '/' }): ForwardAction {
  const action = routesOf({ match, route })[0]?.action
  assert.ok(action?.kind === 'forward')
  return action
}

test("a timeout that is not given is Envoy's 15 seconds, and 0 is none", () => {
  const timeout = (route: JsonObject) => actionOf({ cluster: 'c', ...route }).timeoutMs
  assert.deepEqual([timeout({}), timeout({ timeout: '0s' }), timeout({ timeout: '1.5s' })], [15_000, undefined, 1500])
})

test('a route whose action or match is not for a client is left out, and its siblings stay', () => {
  const names = routesOf(
    { name: 'filter', match: { prefix: '/' }, filterAction: {} },
    { name: 'nothing', match: { prefix: '/' } },
    { name: 'connect', match: { connectMatcher: {} }, route: { cluster: 'c' } },
    { name: 'metadata', match: { prefix: '/', dynamicMetadata: [{ filter: 'jwt' }] }, route: { cluster: 'c' } },
    { name: 'certificate', match: { prefix: '/', tlsContext: { presented: true } }, route: { cluster: 'c' } },
    { name: 'good', ...toC },
    { name: 'server', match: { prefix: '/' }, nonForwardingAction: {} },
  ).map(({ name }) => name)
  assert.deepEqual(names, ['good', 'server'])
})

test('a route by a cluster specifier plugin is left out where the plugin is optional, and refused where it is not, or is not there', () => {
  const plugin = (isOptional: boolean): JsonObject => ({
    isOptional,
    extension: {
      name: 'x',
      typedConfig: {
        '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
        typeUrl: 'type.googleapis.com/grpc.lookup.v1.RouteLookupClusterSpecifier',
      },
    },
  })
  const route = { match: { prefix: '/' }, route: { clusterSpecifierPlugin: 'x' } }
  const withPlugins = (...clusterSpecifierPlugins: JsonObject[]) => configuration([route, toC], {}, { clusterSpecifierPlugins })
  assert.equal(good(withPlugins(plugin(true))).virtualHosts[0]?.routes.length, 1)
  assert.deepEqual(errors(withPlugins(plugin(false))), [
    'cluster_specifier_plugins[0]: "x" of type "grpc.lookup.v1.RouteLookupClusterSpecifier" is not supported and not optional',
  ])
  assert.deepEqual(errors(withPlugins()), [
    'virtual_hosts[0].routes[0].route.cluster_specifier_plugin: "x" is not among cluster_specifier_plugins',
  ])
})

test('routes of their own have a name, since nobody could ask for them otherwise', () => {
  assert.deepEqual(errors({ ...configuration([toC]), name: '' }), ['name: is required'])
})

test('deprecated header specifiers are still read', () => {
  const headers = [
    { name: 'A', exactMatch: 'x' },
    { name: 'b', safeRegexMatch: { regex: 'x+' } },
    { name: 'c', prefixMatch: 'x' },
    { name: 'd', suffixMatch: 'x' },
    { name: 'e', containsMatch: 'x' },
    { name: 'f', presentMatch: false },
    { name: 'g', rangeMatch: { start: '-1', end: '5' } },
    { name: 'h', invertMatch: true },
  ]
  const matchers = routesOf({ match: { prefix: '/', headers }, route: { cluster: 'c' } })[0]?.match.headers ?? []
  const literal = (kind: string) => ({ kind: 'string', matcher: { kind, value: 'x', ignoreCase: false } })
  assert.deepEqual(
    matchers.map(({ name, match }) => [name, match]),
    [
      ['a', literal('exact')],
      ['b', { kind: 'string', matcher: { kind: 'regex', regex: 'x+' } }],
      ['c', literal('prefix')],
      ['d', literal('suffix')],
      ['e', literal('contains')],
      ['f', { kind: 'present', present: false }],
      ['g', { kind: 'range', start: -1, end: 5 }],
      ['h', { kind: 'present', present: true }],
    ],
  )
  assert.equal(matchers[7]?.invert, true)
})

test('a retry policy is read with its defaults; conditions nobody knows and numbers among them are ignored', () => {
  const policy = (retryPolicy: JsonObject) => actionOf({ cluster: 'c', retryPolicy }).retryPolicy
  const one = policy({ retryOn: 'made-up, unavailable,5xx,503' })
  assert.deepEqual(
    [one?.retryOn, one?.numRetries, one?.backOff],
    [['5xx', 'unavailable'], 1, { baseIntervalMs: 25, maxIntervalMs: 250 }],
  )
  const two = policy({
    retryOn: 'reset',
    numRetries: 0,
    perTryTimeout: '0s',
    retryBackOff: { baseInterval: '1s' },
    rateLimitedRetryBackOff: { resetHeaders: [{ name: 'Retry-After' }, { name: 'x', format: 'UNIX_TIMESTAMP' }] },
    retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }],
    hostSelectionRetryMaxAttempts: '5',
  })
  assert.deepEqual(
    [two?.numRetries, two?.perTryTimeoutMs, two?.avoidPreviousHosts, two?.hostSelectionMaxAttempts],
    [0, undefined, true, 5],
  )
  assert.deepEqual(two?.backOff, { baseIntervalMs: 1000, maxIntervalMs: 10_000 }, 'whole seconds are numbers, not text')
  assert.deepEqual(two?.rateLimitedBackOff, {
    resetHeaders: [
      { name: 'retry-after', format: 'seconds' },
      { name: 'x', format: 'unix-timestamp' },
    ],
    maxIntervalMs: 300_000,
  })
})

test('weights are summed, and total_weight is ignored', () => {
  const { clusters } = actionOf({
    weightedClusters: {
      totalWeight: 7,
      clusters: [
        { name: 'a', weight: 90 },
        { name: 'b', weight: 10 },
      ],
    },
  })
  assert.ok(clusters.kind === 'weighted')
  assert.equal(clusters.totalWeight, 100)
})

test('max_stream_duration rules grpc-timeout, or the deprecated pair does', () => {
  const duration = (route: JsonObject) => actionOf({ cluster: 'c', ...route }).maxStreamDuration
  assert.deepEqual(
    duration({ maxStreamDuration: { maxStreamDuration: '1s', grpcTimeoutHeaderMax: '0s' }, maxGrpcTimeout: '9s' }),
    {
      maxStreamDurationMs: 1000,
      grpcTimeoutHeaderMaxMs: 0,
      grpcTimeoutHeaderOffsetMs: undefined,
    },
  )
  assert.deepEqual(duration({ maxGrpcTimeout: '2s', grpcTimeoutOffset: '1s' }), {
    maxStreamDurationMs: undefined,
    grpcTimeoutHeaderMaxMs: 2000,
    grpcTimeoutHeaderOffsetMs: 1000,
  })
  assert.equal(duration({}), undefined)
})

test('mirrors, hedging and filters of a higher level hold for a route that has none of its own', () => {
  const fault = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault' }
  const { virtualHosts } = good(
    configuration(
      [toC, { match: { prefix: '/' }, route: { cluster: 'c', requestMirrorPolicies: [{ cluster: 'own' }] } }],
      { hedgePolicy: { hedgeOnPerTryTimeout: true } },
      { requestMirrorPolicies: [{ cluster: 'shared' }], typedPerFilterConfig: { fault } },
    ),
  )
  const actions = virtualHosts[0]?.routes.map(({ action }) => action) ?? []
  assert.deepEqual(
    actions.map(action => action.kind === 'forward' && [action.mirrors[0]?.cluster, action.hedgeOnPerTryTimeout]),
    [
      ['shared', true],
      ['own', true],
    ],
  )
  assert.equal(virtualHosts[0]?.filterOverrides.fault?.kind, 'fault')
})

test('a header mutation takes the deprecated append, and its values are checked for their format', () => {
  const headers = [
    { header: { key: 'X-A', value: '1' }, append: false },
    { header: { key: 'x-b', value: '%REQ(y)%' }, appendAction: 'ADD_IF_ABSENT', keepEmptyValue: true },
  ]
  const { headerMutations } = good(configuration([], {}, { requestHeadersToAdd: headers, responseHeadersToRemove: ['X-C'] }))
  assert.deepEqual(headerMutations, {
    requestAdd: [
      { name: 'x-a', value: '1', action: 'overwrite-if-exists-or-add', keepEmptyValue: false },
      { name: 'x-b', value: '%REQ(y)%', action: 'add-if-absent', keepEmptyValue: true },
    ],
    requestRemove: [],
    responseAdd: [],
    responseRemove: ['x-c'],
  })
})

test('a route configuration is decoded by virtual hosts, to the same effect', () => {
  const json = {
    name: 'r',
    ignorePortInHostMatching: true,
    virtualHosts: ['a', 'b', 'c'].map(name => ({ name, domains: [name], routes: [toC] })),
    requestHeadersToRemove: ['x'],
  }
  const message = fromJson(RouteConfigurationSchema, json)
  const slices = resourceTypes.routeConfiguration.decodeInSlices(toBinary(RouteConfigurationSchema, message))
  let count = 0
  let slice = slices.next()
  for (; slice.done !== true; slice = slices.next()) count++
  assert.equal(count, 3)
  assert.ok(slice.value.decoded.ok)
  assert.deepEqual(slice.value.decoded.value, decodeRouteConfiguration(message, Problems.of('x')))
})

const uriTemplate = (part: string, field: string, value: string): JsonObject => ({
  name: 't',
  typedConfig: {
    '@type': `type.googleapis.com/envoy.extensions.path.${part}`,
    [field]: value,
  },
})

test('a path template is matched and rewritten', () => {
  const action = actionOf(
    {
      cluster: 'c',
      pathRewritePolicy: uriTemplate('rewrite.uri_template.v3.UriTemplateRewriteConfig', 'pathTemplateRewrite', '/{b}'),
    },
    { pathMatchPolicy: uriTemplate('match.uri_template.v3.UriTemplateMatchConfig', 'pathTemplate', '/{a}/{b}') },
  )
  assert.deepEqual(action.pathRewrite, { kind: 'template', template: '/{b}' })
})

const at = 'virtual_hosts[0].'
const route = 'virtual_hosts[0].routes[0].'
const bad: readonly (readonly [string, JsonObject, readonly string[]])[] = [
  ['no path', configuration([{ match: {}, route: { cluster: 'c' } }]), [`${route}match.path_specifier: is required`]],
  [
    'a regex that is not RE2',
    configuration([{ match: { safeRegex: { regex: '/a/(?=b)' } }, route: { cluster: 'c' } }]),
    [`${route}match.safe_regex.regex: "/a/(?=b)" is not RE2: invalid or unsupported Perl syntax at 3 ("(?=")`],
  ],
  [
    'a separated prefix that ends with a slash',
    configuration([{ match: { pathSeparatedPrefix: '/a/' }, route: { cluster: 'c' } }]),
    [`${route}match.path_separated_prefix: must have no ?, # or trailing / and two characters at least, got "/a/"`],
  ],
  [
    'a template with an operator in the wrong place',
    configuration([
      {
        match: { pathMatchPolicy: uriTemplate('match.uri_template.v3.UriTemplateMatchConfig', 'pathTemplate', '/**/{a}') },
        route: { cluster: 'c' },
      },
    ]),
    [`${route}match.path_match_policy.path_template: "/**/{a}" ** must be the last operator`],
  ],
  [
    'a domain twice, in any case of letters',
    {
      name: 'r',
      virtualHosts: [
        { name: 'v', domains: ['A'] },
        { name: 'w', domains: ['a', 'x*y', ''] },
      ],
    },
    [
      'virtual_hosts[1].domains[0]: "a" is a domain of virtual host "v" already',
      'virtual_hosts[1].domains[1]: must be a name, *suffix, prefix* or *, got "x*y"',
      'virtual_hosts[1].domains[2]: must not be empty',
    ],
  ],
  ['no domains', { name: 'r', virtualHosts: [{ name: 'v' }] }, [`${at}domains: must not be empty`]],
  [
    'weights of nothing',
    configuration([{ match: { prefix: '/' }, route: { weightedClusters: { clusters: [{ name: 'a', weight: 0 }] } } }]),
    [`${route}route.weighted_clusters: the weights must add up to more than 0`],
  ],
  [
    'weights above uint32',
    configuration([
      {
        match: { prefix: '/' },
        route: {
          weightedClusters: {
            clusters: [
              { name: 'a', weight: 4_294_967_295 },
              { name: '', weight: 1 },
            ],
          },
        },
      },
    ]),
    [
      `${route}route.weighted_clusters.clusters[1].name: is required`,
      `${route}route.weighted_clusters: the weights must not add up to more than 4294967295, got 4294967296`,
    ],
  ],
  [
    'two rewrites, and a group that is not there',
    configuration([
      {
        match: { prefix: '/' },
        route: { cluster: 'c', prefixRewrite: '/x', regexRewrite: { pattern: { regex: '(a)' }, substitution: '\\2' } },
      },
    ]),
    [
      `${route}route: only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set`,
      `${route}route.regex_rewrite.substitution: names group 2, but the regex has 1`,
    ],
  ],
  [
    'a backoff without a base or with a maximum below it',
    configuration(
      [
        {
          match: { prefix: '/' },
          route: { cluster: 'c', retryPolicy: { retryBackOff: { baseInterval: '2s', maxInterval: '1s' } } },
        },
      ],
      {
        retryPolicy: { retryBackOff: {} },
      },
    ),
    [
      `${route}route.retry_policy.retry_back_off.max_interval: must be >= base_interval, got 1s < 2s`,
      `${at}retry_policy.retry_back_off.base_interval: is required`,
    ],
  ],
  [
    'header mutations of the host, of no name, with a stray percent sign',
    configuration([], {
      requestHeadersToAdd: [
        { header: { key: 'Host', value: 'x' } },
        { header: { key: 'a b', value: '50%' } },
        { header: { key: 'ok', value: '%NO_SUCH%' } },
      ],
      requestHeadersToRemove: [':path'],
    }),
    [
      `${at}request_headers_to_add[0].header.key: "Host" may not be changed by a header mutation`,
      `${at}request_headers_to_add[1].header.key: "a b" is not a header name`,
      `${at}request_headers_to_add[1].header.value: has a % at 2 that begins no operator`,
      `${at}request_headers_to_add[2].header.value: has the unknown operator %NO_SUCH%`,
      `${at}request_headers_to_remove[0]: ":path" may not be changed by a header mutation`,
    ],
  ],
  [
    'a direct response of an impossible status and length',
    configuration([{ match: { prefix: '/' }, directResponse: { status: 600, body: { inlineString: 'x'.repeat(4097) } } }]),
    [
      `${route}direct_response.status: must be in [200, 600), got 600`,
      `${route}direct_response.body: must not be longer than 4096 bytes, got 4097`,
    ],
  ],
  [
    'a fraction without a value, and a filter override nobody knows',
    configuration([{ match: { prefix: '/', runtimeFraction: {} }, route: { cluster: 'c' } }], {
      typedPerFilterConfig: {
        authz: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    }),
    [
      `${route}match.runtime_fraction.default_value: is required`,
      `${at}typed_per_filter_config["authz"]: HTTP filter "authz" of type "envoy.extensions.filters.http.router.v3.Router" is not supported on a client and not optional`,
    ],
  ],
]

for (const [title, json, expected] of bad) {
  test(`a route configuration is refused for ${title}`, () => assert.deepEqual(errors(json), expected))
}
