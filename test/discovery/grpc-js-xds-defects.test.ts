// Defects measured in @grpc/grpc-js-xds 1.14.1 that lie in what a resource means. The others, which lie in how resources are
// followed, stand beside the classes they concern: 1, 2, 4 and 14 in config-watcher, 3, 5 and 13 in xds-client, 4, 6 and 14 in
// resource-store, 12 in bootstrap, each by its number.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt'
import { RoutingPriority } from '../../src/discovery/gen/envoy/config/core/v3/base_pb.ts'
import { HttpConnectionManagerSchema } from '../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { resourceTypes } from '../../src/discovery/resources/decode.ts'
import { backOffMs } from '../../src/policies/back-off.ts'
import { CompiledHashPolicy } from '../../src/policies/hash-policy.ts'
import { compileHeaderMatcher } from '../../src/policies/header-matcher.ts'
import { loadHash64 } from '../../src/policies/load-balancing/hash64.ts'
import { compileStringMatcher } from '../../src/policies/string-matcher.ts'
import { clusterMessage, listenerMessage, routeMessage, wireResource, type XdsMessage } from '../support/xds-resources.ts'

const seconds = (value: number) => ({ $typeName: 'google.protobuf.Duration', seconds: BigInt(value), nanos: 0 }) as const

function decode<K extends keyof typeof resourceTypes>(kind: K, message: XdsMessage) {
  const { decoded } = resourceTypes[kind].decode(wireResource(message).bytes)
  assert.ok(decoded.ok, JSON.stringify(decoded))
  return decoded.value
}

function listenerWith(field: 'maxStreamDuration' | 'idleTimeout') {
  const listener = listenerMessage('l')
  const packed = listener.apiListener?.apiListener
  const manager = packed && anyUnpack(packed, HttpConnectionManagerSchema)
  assert.ok(manager && listener.apiListener)
  manager.commonHttpProtocolOptions = {
    $typeName: 'envoy.config.core.v3.HttpProtocolOptions',
    headersWithUnderscoresAction: 0,
    [field]: seconds(3),
  }
  listener.apiListener.apiListener = anyPack(HttpConnectionManagerSchema, manager)
  return listener
}

test('defect 7: the longest life of a stream is max_stream_duration, and not idle_timeout', () => {
  for (const [field, expected] of [
    ['maxStreamDuration', 3_000],
    ['idleTimeout', undefined],
  ] as const) {
    const listener = decode('listener', listenerWith(field))
    assert.ok('http' in listener && 'routes' in listener.http)
    assert.equal(listener.http.maxStreamDurationMs, expected)
  }
})

test('defect 8: a backoff of one second stays one second', () => {
  const message = routeMessage('r', 'c')
  const action = message.virtualHosts[0]?.routes[0]?.action
  assert.ok(action?.case === 'route')
  Object.assign(action.value, {
    retryPolicy: {
      $typeName: 'envoy.config.route.v3.RetryPolicy',
      retryOn: 'unavailable',
      retryPriority: undefined,
      retryHostPredicate: [],
      retryOptionsPredicates: [],
      hostSelectionRetryMaxAttempts: 0n,
      retriableStatusCodes: [],
      retriableHeaders: [],
      retriableRequestHeaders: [],
      retryBackOff: {
        $typeName: 'envoy.config.route.v3.RetryPolicy.RetryBackOff',
        baseInterval: seconds(1),
        maxInterval: seconds(1),
      },
    },
  })
  const route = decode('routeConfiguration', message)
  assert.ok('virtualHosts' in route)
  const forward = route.virtualHosts[0]?.routes[0]?.action
  assert.ok(forward?.kind === 'forward' && forward.retryPolicy)
  assert.deepEqual(forward.retryPolicy.backOff, { baseIntervalMs: 1_000, maxIntervalMs: 1_000 })
  for (const retry of [1, 2, 5]) assert.ok(backOffMs(forward.retryPolicy.backOff, retry, () => 0.999) < 1_000)
})

test('defect 9: two hash policies together make a hash of 64 bits, spread over the whole ring', async () => {
  await loadHash64()
  const header = (name: string) => ({ source: { kind: 'header', name, rewrite: undefined }, terminal: false }) as const
  const policy = new CompiledHashPolicy([header('a'), header('b')])
  const quarters = [0, 0, 0, 0]
  for (let index = 0; index < 1000; index++) {
    const hash = policy.hash({ path: '/', header: name => `${name}${index}` }, () => 0.5)
    assert.ok(hash !== null && hash >= 0n && hash < 1n << 64n)
    const quarter = Number(hash >> 62n)
    quarters[quarter] = (quarters[quarter] ?? 0) + 1
  }
  for (const share of quarters) assert.ok(share > 200, String(quarters))
})

test('defect 10: both sides of an alternation must match the whole', () => {
  const matcher = compileStringMatcher({ kind: 'regex', regex: '/a/b|/c/d' })
  const paths = ['/a/b', '/c/d', '/a/bEXTRA', '/XX/c/d', '/a/b|/c/d']
  assert.deepEqual(
    paths.map(path => matcher.matches(path)),
    [true, true, false, false, false],
  )
})

test('defect 11: an absent header matches nothing but its absence, whether or not that is inverted', () => {
  const shared = { name: 'x', treatMissingAsEmpty: false }
  const value = { kind: 'string', matcher: { kind: 'exact', value: 'a', ignoreCase: false } } as const
  assert.equal(compileHeaderMatcher({ ...shared, match: value, invert: true }).matches(undefined), false)
  assert.equal(compileHeaderMatcher({ ...shared, match: value, invert: true }).matches('b'), true)
  for (const present of [true, false]) {
    const matcher = compileHeaderMatcher({ ...shared, match: { kind: 'present', present }, invert: false })
    assert.deepEqual([matcher.matches('a'), matcher.matches(undefined)], [present, !present])
  }
})

test('defect 14: the first threshold of a priority counts, and not the last', () => {
  const message = clusterMessage('c')
  const threshold = (maxRequests: number) =>
    ({
      $typeName: 'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
      priority: RoutingPriority.DEFAULT,
      maxRequests,
      trackRemaining: false,
    }) as const
  message.circuitBreakers = {
    $typeName: 'envoy.config.cluster.v3.CircuitBreakers',
    thresholds: [threshold(7), threshold(9)],
    perHostThresholds: [],
  }
  const cluster = decode('cluster', message)
  assert.ok('circuitBreakers' in cluster)
  assert.equal(cluster.circuitBreakers.default.maxRequests, 7)
})
