import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DiscoveryRequestSchema } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import { clusterType, endpointType } from '../../src/xds/resource-type.ts'
import type { EncodedResources } from '../../src/xds/snapshot.ts'
import { SotwSubscription } from '../../src/xds/sotw-subscription.ts'
import { assignment, cluster, snapshotOf } from '../support/resources.ts'

let lastNonce = 0

const ask = (subscription: SotwSubscription, request: MessageInitShape<typeof DiscoveryRequestSchema> = {}) =>
  subscription.request(create(DiscoveryRequestSchema, { responseNonce: subscription.nonce, ...request }))

const clusters = (...names: readonly string[]): EncodedResources =>
  snapshotOf({ clusters: names.map(name => cluster(...(name.split('@') as [string, string]))) }).ofType(clusterType)
const endpoints = (...names: readonly string[]): EncodedResources =>
  snapshotOf({ endpoints: names.map(name => assignment(...(name.split('@') as [string, string]))) }).ofType(endpointType)

/** What a response would hold, `-name` for an error; `null` for no response. */
function collect(subscription: SotwSubscription, resources: EncodedResources, removals = true, maxBytes = 1e6): string[] | null {
  const content = subscription.collect(resources, { removals, maxBytes })
  if (!content) return null
  subscription.sent(`n${++lastNonce}`, '1')
  return [...content.resources.map(({ name }) => name), ...content.absent.map(name => `-${name}`)]
}

test('rule 2: the first request of a stream is answered whatever version and nonce it brings along', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription, { resourceNames: ['a'], responseNonce: 'of another stream', versionInfo: '7' })
  assert.deepEqual(collect(subscription, clusters('a')), ['a'])
})

test('rule 3: a request whose nonce is not the last one is ignored', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription, { resourceNames: ['a'] })
  collect(subscription, clusters('a', 'b'))
  assert.equal(ask(subscription, { resourceNames: ['a', 'b'], responseNonce: 'old' }).current, false)
  assert.equal(collect(subscription, clusters('a', 'b')), null)
  assert.deepEqual([...subscription.names], ['a'])
})

test('rule 5: a refusal is known by its error detail, at whatever version', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription, { resourceNames: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { resourceNames: ['a'], versionInfo: '1', errorDetail: { code: 3, message: 'bad a' } })
  assert.deepEqual(subscription.acknowledgement, { state: 'refused', version: '1', detail: 'bad a' })
})

test('rule 6: what was refused is not sent again until the set differs', () => {
  for (const [type, make] of [
    [clusterType, clusters],
    [endpointType, endpoints],
  ] as const) {
    const subscription = new SotwSubscription(type)
    ask(subscription, { resourceNames: ['a'] })
    collect(subscription, make('a@10.0.0.1'))
    ask(subscription, { resourceNames: ['a'], versionInfo: '0', errorDetail: { code: 3, message: 'bad a' } })
    assert.equal(collect(subscription, make('a@10.0.0.1')), null)
    subscription.markDirty('a')
    assert.equal(collect(subscription, make('a@10.0.0.1')), null)
    subscription.markDirty('a')
    assert.deepEqual(collect(subscription, make('a@10.0.0.2')), ['a'])
  }
})

test('rule 7: a refusal that also changes the names does both', () => {
  const subscription = new SotwSubscription(endpointType)
  ask(subscription, { resourceNames: ['a'] })
  collect(subscription, endpoints('a', 'b'))
  ask(subscription, { resourceNames: ['a', 'b'], errorDetail: { code: 3, message: 'bad a' } })
  assert.equal(subscription.acknowledgement.state, 'refused')
  assert.deepEqual(collect(subscription, endpoints('a', 'b')), ['b'])
})

test('rule 8: names added at the same version are answered', () => {
  const partial = new SotwSubscription(endpointType)
  ask(partial, { resourceNames: ['a'] })
  collect(partial, endpoints('a', 'b', 'c'))
  ask(partial, { resourceNames: ['a', 'b'], versionInfo: '1' })
  assert.deepEqual(collect(partial, endpoints('a', 'b', 'c')), ['b'])

  const full = new SotwSubscription(clusterType)
  ask(full, { resourceNames: ['a'] })
  assert.deepEqual(collect(full, clusters('a', 'b', 'c')), ['a'])
  ask(full, { resourceNames: ['a', 'b'], versionInfo: '1' })
  assert.deepEqual(collect(full, clusters('a', 'b', 'c')), ['a', 'b'])
})

test('rule 9: a name subscribed to again after unsubscribing is sent again', () => {
  const subscription = new SotwSubscription(endpointType)
  ask(subscription, { resourceNames: ['a', 'b'] })
  collect(subscription, endpoints('a', 'b'))
  ask(subscription, { resourceNames: ['b'] })
  assert.equal(collect(subscription, endpoints('a', 'b')), null)
  ask(subscription, { resourceNames: ['a', 'b'] })
  assert.deepEqual(collect(subscription, endpoints('a', 'b')), ['a'])
})

test('rule 10: a response of clusters holds the whole set, one of assignments what changed', () => {
  const full = new SotwSubscription(clusterType)
  ask(full)
  assert.deepEqual(collect(full, clusters('a', 'b')), ['a', 'b'])
  full.markDirty('b')
  full.markDirty('a')
  assert.deepEqual(collect(full, clusters('b@2')), ['b'])
  full.markDirty('b')
  assert.deepEqual(collect(full, clusters()), [])

  const partial = new SotwSubscription(endpointType)
  ask(partial, { resourceNames: ['a', 'b'] })
  assert.deepEqual(collect(partial, endpoints('a', 'b')), ['a', 'b'])
  partial.markDirty('b')
  assert.deepEqual(collect(partial, endpoints('a', 'b@10.0.0.9')), ['b'])
})

test('rule 11: an empty list after names means none, and an empty name is harmless', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription, { resourceNames: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { resourceNames: [] })
  assert.equal(subscription.wildcard, false)
  assert.equal(collect(subscription, clusters('a')), null)
  ask(subscription, { resourceNames: [''] })
  assert.equal(collect(subscription, clusters('a')), null)
})

test('rule 12: an empty list means everything only while the type was never named', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription)
  assert.deepEqual(collect(subscription, clusters('a', 'b')), ['a', 'b'])
  ask(subscription)
  assert.equal(subscription.wildcard, true)
  ask(subscription, { resourceNames: ['a'] })
  assert.equal(subscription.wildcard, false)
  ask(subscription)
  assert.equal(subscription.wildcard, false)
})

test('rule 13: leaving the star out drops the wildcard', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription, { resourceNames: ['*', 'a'] })
  assert.deepEqual(collect(subscription, clusters('a', 'b')), ['a', 'b'])
  ask(subscription, { resourceNames: ['a'] })
  assert.equal(subscription.wildcard, false)
  assert.equal(subscription.covers('a'), true)
  subscription.markDirty('b')
  assert.equal(collect(subscription, clusters('a', 'b@2')), null)
  ask(subscription)
  assert.equal(subscription.covers('a'), false)
})

test('rule 9: what a dropped wildcard covered is new to the client when it comes back', () => {
  const subscription = new SotwSubscription(endpointType)
  ask(subscription, { resourceNames: ['*'] })
  collect(subscription, endpoints('a', 'b'))
  ask(subscription, { resourceNames: ['a'] })
  assert.deepEqual(collect(subscription, endpoints('a', 'b')), ['a'])
  ask(subscription, { resourceNames: ['*', 'a'] })
  assert.deepEqual(collect(subscription, endpoints('a', 'b')), ['b'])
})

test('a name that is unsubscribed before its answer could be sent is owed no answer', () => {
  const subscription = new SotwSubscription(endpointType)
  ask(subscription, { resourceNames: ['a', 'b'] })
  ask(subscription, { resourceNames: ['b'] })
  assert.deepEqual(collect(subscription, endpoints('a', 'b')), ['b'])
})

test('rules 18 and 32: a missing name is answered and said not to exist', () => {
  const full = new SotwSubscription(clusterType)
  ask(full, { resourceNames: ['a', 'gone'] })
  assert.deepEqual(collect(full, clusters('a')), ['a', '-gone'])

  const partial = new SotwSubscription(endpointType)
  ask(partial, { resourceNames: ['gone'] })
  assert.deepEqual(collect(partial, endpoints()), ['-gone'])
})

test('rule 19: a missing name is sent when it appears', () => {
  const subscription = new SotwSubscription(endpointType)
  ask(subscription, { resourceNames: ['later'] })
  collect(subscription, endpoints())
  subscription.markDirty('later')
  assert.deepEqual(collect(subscription, endpoints('later')), ['later'])
})

test('rule 24: a cluster that vanished is repeated until it may leave', () => {
  const subscription = new SotwSubscription(clusterType)
  ask(subscription)
  collect(subscription, clusters('a', 'b'))
  subscription.markDirty('a')
  subscription.markDirty('c')
  assert.deepEqual(collect(subscription, clusters('b', 'c'), false), ['b', 'c', 'a'])
  assert.deepEqual(collect(subscription, clusters('b', 'c'), true), ['b', 'c'])
})

test('rule 31: assignments beyond the size of a response go into the next', () => {
  const subscription = new SotwSubscription(endpointType)
  ask(subscription, { resourceNames: ['a', 'b'] })
  assert.deepEqual(collect(subscription, endpoints('a', 'b'), true, 1), ['a'])
  assert.deepEqual(collect(subscription, endpoints('a', 'b'), true, 1), ['b'])
})
