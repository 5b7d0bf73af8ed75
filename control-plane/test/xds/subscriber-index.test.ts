import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DeltaDiscoveryRequestSchema } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import { DeltaSubscription } from '../../src/xds/delta-subscription.ts'
import { clusterType } from '../../src/xds/resource-type.ts'
import { SubscriberIndex } from '../../src/xds/subscriber-index.ts'

test('a change wakes those who subscribe to the name or to everything, and nobody else', () => {
  const index = new SubscriberIndex<string>()
  const join = (stream: string) => {
    const subscriber = { subscription: new DeltaSubscription(clusterType), stream }
    const ask = (request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>) => {
      const { added, removed } = subscriber.subscription.request(create(DeltaDiscoveryRequestSchema, request))
      index.update(subscriber, added, removed)
    }
    return { ask, leave: () => index.delete(subscriber) }
  }
  const woken = (name: string) => {
    const streams = new Set<string>()
    index.markDirty(name, streams)
    return [...streams].sort().join()
  }
  const one = join('one')
  const two = join('two')
  const all = join('all')
  one.ask({ resourceNamesSubscribe: ['a'] })
  two.ask({ resourceNamesSubscribe: ['a', 'b'] })
  all.ask({})
  assert.equal(woken('a'), 'all,one,two')
  assert.equal(woken('b'), 'all,two')
  assert.equal(woken('c'), 'all')
  all.ask({ resourceNamesUnsubscribe: ['*'] })
  two.ask({ resourceNamesUnsubscribe: ['a'] })
  assert.equal(woken('a'), 'one')
  one.leave()
  two.leave()
  assert.equal(woken('b'), '')
  assert.equal(index.size, 0)
})
