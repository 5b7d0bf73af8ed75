import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { AnySchema, anyPack } from '@bufbuild/protobuf/wkt'
import { ClusterSchema } from '../../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { ListenerSchema } from '../../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import { ResourceSchema } from '../../../src/discovery/gen/envoy/service/discovery/v3/discovery_pb.ts'
import { resourceTypes, unwrapAny } from '../../../src/discovery/resources/decode.ts'

function cluster(init: MessageInitShape<typeof ClusterSchema>) {
  return resourceTypes.cluster.decode(toBinary(ClusterSchema, create(ClusterSchema, init)))
}

test('a resource tells its name even when it cannot be parsed', () => {
  const bytes = toBinary(ClusterSchema, create(ClusterSchema, { name: 'reviews', altStatName: 'x'.repeat(100) }))
  const { name, decoded } = resourceTypes.cluster.decode(bytes.slice(0, -10))
  assert.equal(name, 'reviews')
  assert.ok(!decoded.ok)
  assert.match(decoded.errors[0] ?? '', /^Cluster "reviews": cannot be parsed: /)
})

test('every error of a resource is told, each with its path', () => {
  const { decoded } = cluster({
    name: 'reviews',
    connectTimeout: { seconds: -1n },
    outlierDetection: { interval: {}, maxEjectionPercent: 101 },
    clusterDiscoveryType: { case: 'type', value: 3 },
  })
  assert.deepEqual(decoded, {
    ok: false,
    errors: [
      'Cluster "reviews": eds_cluster_config.eds_config: must be ads or self, got nothing',
      'Cluster "reviews": connect_timeout: must be > 0, got -1s',
      'Cluster "reviews": outlier_detection.interval: must be > 0, got 0s',
      'Cluster "reviews": outlier_detection.max_ejection_percent: must be <= 100, got 101',
    ],
  })
})

test('a Resource around a resource is taken off, and its name and version are told', () => {
  const inner = anyPack(ListenerSchema, create(ListenerSchema, { name: 'a' }))
  const wrapped = anyPack(ResourceSchema, create(ResourceSchema, { name: 'a', version: '7', resource: inner }))
  const unwrapped = unwrapAny(wrapped)
  assert.deepEqual(
    { ...unwrapped, value: resourceTypes.listener.decode(unwrapped.value).name },
    { typeUrl: resourceTypes.listener.typeUrl, value: 'a', name: 'a', version: '7' },
  )
  assert.equal(unwrapAny(create(AnySchema, { typeUrl: 'x/y' })).typeUrl, 'x/y')
})

test('an unknown field is ignored', () => {
  const known = toBinary(ClusterSchema, create(ClusterSchema, { name: 'a', loadAssignment: {} }))
  const withUnknown = Buffer.concat([known, Buffer.from([0xfa, 0xff, 0x07, 0x01, 0x2a])])
  assert.ok(resourceTypes.cluster.decode(withUnknown).decoded.ok)
})
