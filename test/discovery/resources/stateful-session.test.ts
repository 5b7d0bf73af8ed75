import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { AnySchema, anyPack } from '@bufbuild/protobuf/wkt'
import { ListenerSchema } from '../../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import { RouterSchema } from '../../../src/discovery/gen/envoy/extensions/filters/http/router/v3/router_pb.ts'
import { HttpConnectionManagerSchema } from '../../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { resourceTypes } from '../../../src/discovery/resources/decode.ts'

const prefix = 'type.googleapis.com/envoy.extensions.'
const any = (type: string, value: Uint8Array) => create(AnySchema, { typeUrl: prefix + type, value })

/** A message of texts, messages and numbers, by field number. */
function message(fields: Readonly<Record<number, string | Uint8Array | number>>): Uint8Array {
  const writer = new BinaryWriter()
  for (const [number, value] of Object.entries(fields)) {
    if (typeof value === 'number') writer.tag(Number(number), WireType.Varint).int64(value)
    else writer.tag(Number(number), WireType.LengthDelimited).bytes(typeof value === 'string' ? Buffer.from(value) : value)
  }
  return writer.finish()
}

const extension = (type: string, value: Uint8Array) => message({ 1: 'x', 2: toBinary(AnySchema, any(type, value)) })
const cookieState = (cookie: Uint8Array) =>
  extension('http.stateful_session.cookie.v3.CookieBasedSessionState', message({ 1: cookie }))
const filter = (fields: Parameters<typeof message>[0]) => any('filters.http.stateful_session.v3.StatefulSession', message(fields))

/** The filter of a listener as a client reads it, or why not. */
function decode(typedConfig: ReturnType<typeof any>) {
  const manager = create(HttpConnectionManagerSchema, {
    routeSpecifier: { case: 'routeConfig', value: {} },
    httpFilters: [
      { name: 'session', configType: { case: 'typedConfig', value: typedConfig } },
      { name: 'router', configType: { case: 'typedConfig', value: anyPack(RouterSchema, create(RouterSchema)) } },
    ],
  })
  const listener = create(ListenerSchema, {
    name: 'l',
    apiListener: { apiListener: anyPack(HttpConnectionManagerSchema, manager) },
  })
  const { decoded } = resourceTypes.listener.decode(toBinary(ListenerSchema, listener))
  return decoded.ok ? decoded.value.http.filters[0]?.config : decoded.errors
}

test('A55: a session by a cookie', () => {
  const cookie = message({ 1: 'at', 2: message({ 1: 90, 2: 500_000_000 }), 3: '/shop' })
  assert.deepEqual(decode(filter({ 1: cookieState(cookie), 2: 1 })), {
    kind: 'stateful-session',
    session: { state: { kind: 'cookie', name: 'at', path: '/shop', ttlMs: 90_500 }, isStrict: true },
  })
})

test('a session by a header, whose name is in lower case here', () => {
  const state = extension('http.stateful_session.header.v3.HeaderBasedSessionState', message({ 1: 'X-At' }))
  assert.deepEqual(decode(filter({ 1: state })), {
    kind: 'stateful-session',
    session: { state: { kind: 'header', name: 'x-at' }, isStrict: false },
  })
})

test('A55: a filter without a state does nothing', () => {
  assert.deepEqual(decode(filter({})), { kind: 'disabled' })
})

for (const [name, given, error] of [
  ['a cookie without a name', filter({ 1: cookieState(message({ 3: '/' })) }), /cookie\.name: is required/],
  [
    'a negative lifetime',
    filter({ 1: cookieState(message({ 1: 'at', 2: message({ 1: -1 }) })) }),
    /cookie\.ttl: must not be negative/,
  ],
  [
    'a state of another kind',
    filter({ 1: extension('http.other.v3.State', message({})) }),
    /session_state.*Other|not supported/i,
  ],
  ['what is no message', any('filters.http.stateful_session.v3.StatefulSession', Uint8Array.of(0x0a, 0x7f)), /cannot be read/],
] as const) {
  test(`A55: ${name} is refused`, () => {
    assert.match(String(decode(given)), error)
  })
}
