import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@bufbuild/protobuf'
import { ClusterSchema } from '../../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { resourceTypesOf } from '../../../src/discovery/resources/decode.ts'
import { decodeGood } from '../../support/resource-errors.ts'

const { cluster } = resourceTypesOf({ isInbound: () => false, isForGrpc: true })
const good = (more: JsonObject = {}) =>
  decodeGood(cluster, ClusterSchema, { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } }, ...more })

test('a cluster for gRPC that says nothing weighs localities, never panics and limits calls alone', () => {
  const { commonLb, circuitBreakers } = good()
  assert.deepEqual(commonLb, { healthyPanicThreshold: 0, failTrafficOnPanic: false, localityWeighted: true })
  assert.equal(circuitBreakers.default.maxRetries, 0xffff_ffff)
  assert.equal(circuitBreakers.default.maxPendingRequests, 0xffff_ffff)
  assert.equal(circuitBreakers.default.maxRequests, 1024)
})

test('what it says counts', () => {
  const { commonLb, circuitBreakers } = good({
    commonLbConfig: { healthyPanicThreshold: { value: 20 } },
    circuitBreakers: { thresholds: [{ maxRequests: 7 }, { priority: 'HIGH', maxRetries: 2 }] },
  })
  assert.deepEqual(commonLb, { healthyPanicThreshold: 20, failTrafficOnPanic: false, localityWeighted: false })
  assert.equal(circuitBreakers.default.maxRequests, 7)
  assert.equal(circuitBreakers.default.maxRetries, 0xffff_ffff)
  assert.equal(circuitBreakers.high.maxRetries, 2)
})
