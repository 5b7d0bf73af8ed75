// What a control plane, an agent or somebody in its place may send that is too much.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { AnySchema } from '@bufbuild/protobuf/wkt'
import { RBACSchema } from '../../src/discovery/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import { resourceTypes } from '../../src/discovery/resources/decode.ts'
import { Problems } from '../../src/discovery/resources/problems.ts'
import { decodeRbac } from '../../src/discovery/resources/rbac.ts'
import { decodeSvidResponse } from '../../src/discovery/workload-api-messages.ts'
import { type StreamMethod, XdsTransport } from '../../src/discovery/xds-stream.ts'
import { ManualClock } from '../support/manual-clock.ts'

const field = (number: number, bytes: Uint8Array) =>
  Buffer.from(new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish())

/** A message in its own field, over and over. */
function nest(depth: number, number: number, innermost: Uint8Array): Buffer {
  const parts: Uint8Array[] = [innermost]
  let length = innermost.length
  for (let level = 0; level < depth; level++) {
    const prefix = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish()
    parts.push(prefix)
    length += prefix.length
  }
  return Buffer.concat(parts.reverse())
}

describe('F2: what is nested', () => {
  const always = Uint8Array.of(0x18, 1)
  const rbacOf = (permission: Uint8Array) => {
    const policy = Buffer.concat([field(1, permission), field(2, always)])
    const value = field(1, field(2, Buffer.concat([field(1, Buffer.from('p')), field(2, policy)])))
    const problems = Problems.of('Filter')
    const any = { $typeName: AnySchema.typeName, typeUrl: `type.googleapis.com/${RBACSchema.typeName}`, value } as const
    return { filter: decodeRbac(any, problems), problems: problems.found }
  }

  test('up to the limit is read', () => {
    assert.ok(rbacOf(nest(50, 8, always)).filter)
  })

  for (const depth of [200, 100_000])
    test(`${depth} deep is refused, and the limit named: negations of a policy`, () => {
      const { filter, problems } = rbacOf(nest(depth, 8, always))
      assert.equal(filter, undefined)
      assert.match(problems.join(), /more than 100 messages in one another/)
    })

  test('without end is refused: lists in the metadata of a cluster', () => {
    let value: Uint8Array = new Uint8Array()
    for (let level = 0; level < 5_000; level++) value = field(6, field(1, value))
    const metadata = field(1, Buffer.concat([field(1, Buffer.from('envoy.lb')), field(2, field(1, field(2, value)))]))
    const { name, decoded } = resourceTypes.cluster.decode(Buffer.concat([field(1, Buffer.from('c')), field(25, metadata)]))
    assert.equal(name, 'c')
    assert.ok(!decoded.ok)
    assert.match(decoded.errors.join(), /Cluster "c": cannot be parsed: .*more than 100 messages in one another/)
  })

  test('without end is refused: groups of a field that nobody knows', () => {
    const groups = Buffer.alloc(200_000, Uint8Array.of(0x9b, 0x06))
    const named = Buffer.concat([field(1, Buffer.from('c')), groups])
    for (const type of Object.values(resourceTypes)) {
      const { decoded } = type.decode(named)
      assert.equal(decoded.ok, false, type.kind)
    }
    assert.throws(() => decodeSvidResponse(groups))
  })
})

test('F1: a message beyond the limit ends the stream before it is read', async t => {
  const server = createServer()
  server.on('stream', stream => {
    stream.on('error', () => {})
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    // A message of three bytes, and the announcement of one of 200 MiB.
    stream.write(Buffer.concat([Buffer.from([0, 0, 0, 0, 3]), Buffer.from('abc'), Buffer.from([0, 12, 128, 0, 0])]))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const uri = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const place = { uri, credentials: { kind: 'insecure' }, features: [], callCredentials: [], delta: false } as const
  const transport = new XdsTransport(place, { clock: new ManualClock(), random: Math.random })
  t.after(() => {
    transport.close()
    server.close()
  })
  const codec = { encode: (text: string) => Buffer.from(text), decode: (bytes: Uint8Array) => String(Buffer.from(bytes)) }
  const method: StreamMethod<string, string> = { path: '/a/b', loadCodec: async () => codec, renewsConnection: true }
  const read: string[] = []
  const before = process.memoryUsage().arrayBuffers
  const status = await new Promise<{ code: number; message: string }>(resolve => {
    const onResponse = async (response: string) => void read.push(response)
    transport.open(method, { onConnected() {}, onResponse, onEnd: resolve })
  })
  assert.deepEqual(read, ['abc'])
  assert.match(status.message, /a message of 209715200 bytes, more than 134217728/)
  assert.ok(process.memoryUsage().arrayBuffers - before < 100 * 1024 * 1024)
})
