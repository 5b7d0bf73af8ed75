import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DeltaDiscoveryRequestSchema } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import { DeltaSubscription } from '../../src/xds/delta-subscription.ts'
import { clusterType, endpointType } from '../../src/xds/resource-type.ts'
import type { EncodedResources } from '../../src/xds/snapshot.ts'
import { assignment, cluster, snapshotOf } from '../support/resources.ts'

const ask = (subscription: DeltaSubscription, request: MessageInitShape<typeof DeltaDiscoveryRequestSchema> = {}) =>
  subscription.request(create(DeltaDiscoveryRequestSchema, request))

const clusters = (...names: readonly string[]): EncodedResources =>
  snapshotOf({ clusters: names.map(name => cluster(...(name.split('@') as [string, string]))) }).ofType(clusterType)

/** What a response would hold, `-name` for a removal; `null` for no response. */
function collect(subscription: DeltaSubscription, resources: EncodedResources, removals = true, maxBytes = 1e6): string[] | null {
  const content = subscription.collect(resources, { removals, maxBytes })
  if (!content) return null
  subscription.sent('n', '1')
  return [...content.resources.map(({ name }) => name), ...content.absent.map(name => `-${name}`)]
}

test('rule 4: a stale nonce does not void the subscription changes of a request', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  collect(subscription, clusters('a', 'b'))
  ask(subscription, { resourceNamesSubscribe: ['b'], resourceNamesUnsubscribe: ['a'], responseNonce: 'old' })
  assert.equal(subscription.acknowledgement.state, 'waiting')
  assert.deepEqual(collect(subscription, clusters('a', 'b')), ['b'])
  assert.deepEqual([...subscription.names], ['b'])
})

test('rule 5: a refusal is known by its error detail', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { responseNonce: 'n', errorDetail: { code: 3, message: 'bad a' } })
  assert.deepEqual(subscription.acknowledgement, { state: 'refused', version: '1', detail: 'bad a' })
})

test('rule 6: what was refused is not sent again until it differs', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { responseNonce: 'n', errorDetail: { code: 3, message: 'bad a' } })
  subscription.markDirty('a')
  assert.equal(collect(subscription, clusters('a')), null)
  subscription.markDirty('a')
  assert.deepEqual(collect(subscription, clusters('a@2')), ['a'])
})

test('rule 7: a refusal that also subscribes does both', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { responseNonce: 'n', errorDetail: { code: 3, message: 'bad' }, resourceNamesSubscribe: ['b'] })
  assert.equal(subscription.acknowledgement.state, 'refused')
  assert.deepEqual(collect(subscription, clusters('a', 'b')), ['b'])
})

test('rule 9: a name subscribed to again after unsubscribing is sent again at the same version', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { resourceNamesUnsubscribe: ['a'] })
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  assert.deepEqual(collect(subscription, clusters('a')), ['a'])
})

test('rule 12: only a first request with both lists empty means everything', () => {
  const all = new DeltaSubscription(clusterType)
  ask(all)
  assert.equal(all.wildcard, true)
  assert.deepEqual(collect(all, clusters('a', 'b')), ['a', 'b'])

  const unsubscribing = new DeltaSubscription(clusterType)
  ask(unsubscribing, { resourceNamesUnsubscribe: ['x'] })
  assert.equal(unsubscribing.wildcard, false)
  assert.equal(collect(unsubscribing, clusters('a')), null)

  const later = new DeltaSubscription(clusterType)
  ask(later, { resourceNamesSubscribe: ['a'] })
  ask(later, { resourceNamesUnsubscribe: ['a'] })
  ask(later)
  assert.equal(later.wildcard, false)
})

test('rule 12: the legacy wildcard stays when names are subscribed to beside it', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  assert.equal(subscription.wildcard, true)
  ask(subscription, { resourceNamesUnsubscribe: ['*'] })
  assert.equal(subscription.wildcard, false)
  assert.equal(subscription.covers('a'), true)
  assert.equal(subscription.covers('b'), false)
})

test('rule 14: a name under a wildcard is answered when it is subscribed to and when it is unsubscribed from', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['*'] })
  collect(subscription, clusters('a'))
  ask(subscription, { resourceNamesSubscribe: ['a', 'gone'] })
  assert.deepEqual(collect(subscription, clusters('a')), ['a', '-gone'])
  ask(subscription, { resourceNamesUnsubscribe: ['a', 'gone'] })
  assert.deepEqual(collect(subscription, clusters('a')), ['a', '-gone'])
})

test('rule 15: unsubscribing gets no answer', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['*', 'a'] })
  collect(subscription, clusters('a', 'b'))
  ask(subscription, { resourceNamesUnsubscribe: ['*'] })
  assert.equal(collect(subscription, clusters('a', 'b')), null)
  ask(subscription, { resourceNamesUnsubscribe: ['a'] })
  assert.equal(collect(subscription, clusters('a', 'b')), null)
})

test('rule 16: subscribing again to a name that is subscribed and unchanged is answered', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  collect(subscription, clusters('a'))
  ask(subscription, { resourceNamesSubscribe: ['a'] })
  assert.equal(subscription.urgent, true)
  assert.deepEqual(collect(subscription, clusters('a')), ['a'])
})

test('rules 17 and 19: a missing name is answered at once, remembered, and sent when it appears', () => {
  const subscription = new DeltaSubscription(endpointType)
  ask(subscription, { resourceNamesSubscribe: ['later'] })
  assert.deepEqual(collect(subscription, clusters(), false), ['-later'])
  subscription.markDirty('later')
  const appeared = snapshotOf({ endpoints: [assignment('later', '10.0.0.1')] }).ofType(endpointType)
  assert.deepEqual(collect(subscription, appeared), ['later'])
})

test('rule 20: versions brought along skip what is equal and remove what vanished', () => {
  const current = clusters('same', 'other@2')
  const same = current.get('same')?.version ?? ''
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { initialResourceVersions: { same, other: 'x', vanished: 'y' } })
  assert.deepEqual(collect(subscription, current), ['other', '-vanished'])
})

test('rule 20: versions brought along count only in the first request', () => {
  const current = clusters('a')
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['z'] })
  collect(subscription, current)
  ask(subscription, { resourceNamesSubscribe: ['a'], initialResourceVersions: { a: current.get('a')?.version ?? '' } })
  assert.deepEqual(collect(subscription, current), ['a'])

  const newer = clusters('a@2')
  ask(subscription, { initialResourceVersions: { a: newer.get('a')?.version ?? '' } })
  subscription.markDirty('a')
  assert.deepEqual(collect(subscription, newer), ['a'])
})

test('rule 21: no name is twice in one response', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['*', 'a', 'a'] })
  subscription.markDirty('a')
  assert.deepEqual(collect(subscription, clusters('a', 'b')), ['a', 'b'])
})

test('a wildcard over nothing is answered, so that the client need not wait', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription)
  assert.deepEqual(collect(subscription, clusters()), [])
})

test('a removal waits until it may go, and is forgotten when the resource comes back', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription)
  collect(subscription, clusters('a'))
  subscription.markDirty('a')
  assert.equal(collect(subscription, clusters(), false), null)
  assert.equal(subscription.leaving, true)
  subscription.markDirty('a')
  assert.equal(collect(subscription, clusters('a'), false), null)
  assert.equal(subscription.leaving, false)
  subscription.markDirty('a')
  assert.deepEqual(collect(subscription, clusters()), ['-a'])
})

test('rule 31: what exceeds the size of a response goes into the next', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription)
  assert.deepEqual(collect(subscription, clusters('a', 'b'), true, 1), ['a'])
  assert.equal(subscription.pending, true)
  assert.deepEqual(collect(subscription, clusters('a', 'b'), true, 1), ['b'])
  assert.equal(collect(subscription, clusters('a', 'b'), true, 1), null)
})

test('names like those of Object.prototype are names like others', () => {
  const subscription = new DeltaSubscription(clusterType)
  ask(subscription, { resourceNamesSubscribe: ['__proto__', 'constructor'] })
  assert.deepEqual(collect(subscription, clusters('constructor')), ['constructor', '-__proto__'])
})
