import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRegistry, type DescFile, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import { decodedTypes } from '../../../src/discovery/decoded-types.ts'
import { ClusterSchema } from '../../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { ListenerSchema } from '../../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import { DiscoveryResponseSchema } from '../../../src/discovery/gen/envoy/service/discovery/v3/discovery_pb.ts'
import { LoadStatsRequestSchema } from '../../../src/discovery/gen/envoy/service/load_stats/v3/lrs_pb.ts'
import { messageTables } from '../../../src/discovery/gen/tables.ts'
import { knownTypes } from '../../../src/discovery/known-types.ts'
import * as messageTypes from '../../../src/discovery/message-types.ts'
import { MessageCodec } from '../../../src/discovery/protobuf/message-codec.ts'
import { RandomMessages } from '../../support/random-message.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const schemas = [ClusterSchema, DiscoveryResponseSchema, ListenerSchema, LoadStatsRequestSchema]
const files = new Set<DescFile>()
const addFile = (file: DescFile) => {
  if (files.has(file)) return
  files.add(file)
  file.dependencies.forEach(addFile)
}
for (const { file } of [...schemas, ...knownTypes].filter(({ kind }) => kind === 'message')) addFile(file)
const registry = createRegistry(...files)

function descOf(typeName: string): DescMessage {
  const desc = registry.getMessage(typeName)
  assert.ok(desc, typeName)
  return desc
}

test('every type of message has a table', () => {
  for (const name of decodedTypes) assert.equal(typeof messageTables[name], 'string', name)
  for (const type of Object.values(messageTypes)) assert.equal(typeof messageTables[type.typeName], 'string', type.typeName)
})

for (const typeName of Object.keys(messageTables)) {
  test(`${typeName}: is read and written as by the library`, () => {
    const desc = descOf(typeName)
    const codec = MessageCodec.of(typeName)
    const random = seededRandom(1)
    const messages = new RandomMessages(random)
    assert.deepEqual(codec.decode(new Uint8Array()), fromBinary(desc, new Uint8Array()))
    for (let round = 0; round < 20; round++) {
      const bytes = toBinary(desc, messages.make(desc))
      const more = toBinary(desc, messages.make(desc))
      // What comes twice is merged.
      const twice = Buffer.concat([bytes, more])
      assert.deepEqual(codec.decode(twice), fromBinary(desc, twice))
      assert.deepEqual(fromBinary(desc, codec.encode(codec.decode(bytes))), fromBinary(desc, bytes))
      const cut = bytes.subarray(0, Math.floor(random() * bytes.length))
      const ours = attempt(() => codec.decode(cut))
      if (ours !== undefined) assert.deepEqual(ours, fromBinary(desc, cut))
    }
  })
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof Error)
    return undefined
  }
}

const duration = MessageCodec.of('google.protobuf.Duration')

test('fields that are not known are kept', () => {
  const message = duration.decode(Uint8Array.from(Buffer.from('08019a06026162', 'hex')))
  assert.deepEqual(message, {
    $typeName: 'google.protobuf.Duration',
    seconds: 1n,
    nanos: 0,
    $unknown: [{ no: 99, wireType: 2, data: new Uint8Array([2, 0x61, 0x62]) }],
  })
})

test('so is a known one of another wire type', () => {
  const message = duration.decode(Uint8Array.from(Buffer.from('0a026162', 'hex')))
  assert.deepEqual(message.$unknown, [{ no: 1, wireType: 2, data: new Uint8Array([2, 0x61, 0x62]) }])
  assert.equal(message.seconds, 0n)
})

test('messages in messages, deeper than 100, are refused', () => {
  const list = MessageCodec.of('google.protobuf.ListValue')
  const nested = (depth: number): Uint8Array => {
    let value: unknown = { values: [] }
    for (let at = 0; at < depth; at++) value = { values: [{ kind: { case: 'listValue', value } }] }
    return list.encode({ ...Object(value) })
  }
  assert.ok(list.decode(nested(49)))
  assert.throws(() => list.decode(nested(51)), /more than 100 messages in one another/)
})

test('text that is not UTF-8 is refused', () => {
  assert.throws(() => MessageCodec.of('google.protobuf.Any').decode(Buffer.from('0a02c328', 'hex')))
})

test('a message that is longer than what holds it is refused', () => {
  assert.throws(() => MessageCodec.of('google.protobuf.ListValue').decode(Buffer.from('0a051200', 'hex')), /premature EOF/)
  // A text of four bytes in a message of two.
  assert.throws(
    () => MessageCodec.of('google.protobuf.ListValue').decode(Buffer.from('0a021a046162636400', 'hex')),
    /premature EOF/,
  )
})
