import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel, credentials } from '@grpc/grpc-js'
import { withoutRetries } from '../../../src/client/grpc/without-retries.ts'

/** The layer that a call of this channel would be in. */
function layerOf(channel: Channel): string {
  const internal = Reflect.get(channel, 'internalChannel')
  const call = internal.createRetryingCall({ methodConfig: {} }, '/a/b', 'host', undefined, 0, 1)
  return call.constructor.name
}

test('a channel makes its calls without the layer that retries', t => {
  const options = { 'grpc.enable_retries': 0 }
  const plain = new Channel('ipv4:127.0.0.1:1', credentials.createInsecure(), options)
  const thin = new Channel('ipv4:127.0.0.1:1', credentials.createInsecure(), options)
  t.after(() => {
    for (const channel of [plain, thin]) channel.close()
  })
  assert.equal(layerOf(plain), 'RetryingCall')
  assert.equal(withoutRetries(thin), thin)
  assert.equal(layerOf(thin), 'LoadBalancingCall')
})

test('a channel of another build stays as it is', () => {
  const calls: string[] = []
  const internalChannel = { createRetryingCall: () => calls.push('retrying') }
  const channel = Object.assign(Object.create(Channel.prototype), { internalChannel })
  assert.equal(withoutRetries(channel), channel)
  internalChannel.createRetryingCall()
  assert.deepEqual(calls, ['retrying'])
})
