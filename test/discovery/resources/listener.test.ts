import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { ListenerSchema } from '../../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import { resourceTypes } from '../../../src/discovery/resources/decode.ts'
import { loadTypedStructs } from '../../../src/discovery/resources/typed-struct.ts'
import { decodeGood, errorsOf } from '../../support/resource-errors.ts'

const http = 'type.googleapis.com/envoy.extensions.filters.http.'
const router = { name: 'router', typedConfig: { '@type': `${http}router.v3.Router` } }

function manager(more: JsonObject = {}): JsonObject {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    rds: { configSource: { ads: {} }, routeConfigName: 'r' },
    httpFilters: [router],
    ...more,
  }
}

const listener = (more: JsonObject = {}): JsonObject => ({ name: 'l', apiListener: { apiListener: manager(more) } })
const good = (json: JsonValue) => decodeGood(resourceTypes.listener, ListenerSchema, json)
const errors = (json: JsonValue) => errorsOf(resourceTypes.listener, ListenerSchema, json)
const struct = (typeUrl: string, value: JsonObject = {}) => ({
  '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
  typeUrl: `type.googleapis.com/${typeUrl}`,
  value,
})

test('an api_listener and a filter chain lead to the same', () => {
  const chain = { name: 'l', filterChains: [{ filters: [] }, { filters: [{ name: 'hcm', typedConfig: manager() }] }] }
  assert.deepEqual(good(chain), good(listener()))
  assert.deepEqual(good(listener()).http.routes, { kind: 'rds', routeConfigName: 'r' })
})

test('max_stream_duration is read, and idle_timeout is not taken for it', () => {
  const duration = (commonHttpProtocolOptions: JsonObject) =>
    good(listener({ commonHttpProtocolOptions })).http.maxStreamDurationMs
  assert.equal(duration({ maxStreamDuration: '0.3s', idleTimeout: '5s' }), 300)
  assert.equal(duration({ idleTimeout: '0.3s' }), undefined)
})

test('a fault filter is decoded, as a message and as a TypedStruct', async () => {
  await loadTypedStructs()
  const fault = { abort: { httpStatus: 503, percentage: { numerator: 10 } } }
  const filters = [
    { name: 'fault', typedConfig: { '@type': `${http}fault.v3.HTTPFault`, ...fault } },
    { name: 'again', typedConfig: struct('envoy.extensions.filters.http.fault.v3.HTTPFault', fault) },
    router,
  ]
  const [first, second] = good(listener({ httpFilters: filters })).http.filters
  assert.ok(first?.config.kind === 'fault')
  assert.deepEqual(first.config.fault.abort, {
    httpStatus: 503,
    grpcStatus: undefined,
    fromHeader: false,
    percentage: { numerator: 10, denominator: 100 },
  })
  assert.deepEqual(second?.config, first.config)
})

test('a filter is ignored when it is optional, or has nothing to do in a client', () => {
  const filters = [
    { name: 'cors', typedConfig: { '@type': `${http}cors.v3.Cors` } },
    { name: 'stats', typedConfig: struct('stats.PluginConfig') },
    { name: 'custom', isOptional: true, typedConfig: struct('my.Filter') },
    { name: 'off', disabled: true, typedConfig: { '@type': `${http}fault.v3.HTTPFault` } },
    router,
  ]
  const { http: decoded } = good(listener({ httpFilters: filters }))
  assert.deepEqual(
    decoded.filters.map(({ name, config }) => [name, config.kind]),
    [
      ['cors', 'ignored'],
      ['stats', 'ignored'],
      ['custom', 'ignored'],
      ['off', 'disabled'],
    ],
  )
})

const bad: readonly (readonly [string, JsonValue, readonly string[]])[] = [
  ['nothing to listen with', { name: 'l' }, []],
  [
    'routes from elsewhere',
    listener({ rds: { routeConfigName: 'r', configSource: { path: '/x' } } }),
    ['rds.config_source: must be ads or self, got path'],
  ],
  ['no routes', listener({ rds: null }), ['route_specifier: is required']],
  ['no filters', listener({ httpFilters: [] }), ['http_filters: must end with the router']],
  [
    'a filter behind the router',
    listener({ httpFilters: [router, { name: 'cors', typedConfig: { '@type': `${http}cors.v3.Cors` } }] }),
    ['http_filters[0]: the router must be the last filter', 'http_filters: must end with the router'],
  ],
  [
    'authorization that a client cannot enforce',
    listener({ httpFilters: [{ name: 'authz', typedConfig: { '@type': `${http}rbac.v3.RBAC` } }, router] }),
    [
      'http_filters[0]: HTTP filter "authz" of type "envoy.extensions.filters.http.rbac.v3.RBAC" is not supported on a client and not optional',
    ],
  ],
  [
    'a filter twice and one by discovery',
    listener({ httpFilters: [{ ...router, name: 'x' }, { name: 'x', configDiscovery: { typeUrls: ['a'] } }, router] }),
    [
      'http_filters[0]: the router must be the last filter',
      'http_filters[1].name: "x" is there twice',
      'http_filters[1]: HTTP filter "x" by config_discovery is not supported',
    ],
  ],
]

for (const [title, json, expected] of bad) {
  test(`a listener is refused for ${title}`, () => {
    const found = errors(json)
    if (expected.length === 0)
      assert.deepEqual(found, ['has neither an api_listener nor a filter chain with an HttpConnectionManager'])
    else
      assert.deepEqual(
        found,
        expected.map(error => `api_listener.${error}`),
      )
  })
}
