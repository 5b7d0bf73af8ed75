import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { IdentifiedCalls } from '../../src/ca/identified-calls.ts'
import type { GrpcCall } from '../../src/xds/grpc-call.ts'
import { hourMs, reviews } from '../support/certificates.ts'

function open(calls: IdentifiedCalls, notAfterMs: number | undefined) {
  const ends: number[] = []
  let handled = 0
  const call: GrpcCall = {
    peer: '10.0.0.7:1',
    congested: false,
    write() {},
    end: code => ends.push(code),
    ...(notAfterMs === undefined ? {} : { peerIdentity: { spiffeId: reviews, serial: '1', notBeforeMs: 0, notAfterMs } }),
  }
  const listener = calls.require(() => {
    handled++
    return { onMessage() {}, onDrain() {}, onClose() {} }
  })(call)
  return { ends, handled: () => handled, listener }
}

test('a call without a certificate is not handled', () => {
  const { ends, handled } = open(new IdentifiedCalls(new ManualClock()), undefined)
  assert.deepEqual([ends, handled()], [[16], 0])
})

test('a call ends with its certificate, be it that the clock was set', () => {
  for (const wait of ['time', 'step']) {
    const clock = new ManualClock()
    const { ends, handled } = open(new IdentifiedCalls(clock), clock.wallNow() + hourMs)
    clock.advance(hourMs - 60_001)
    assert.deepEqual([ends, handled()], [[], 1], wait)
    if (wait === 'step') clock.stepWall(hourMs)
    clock.advance(wait === 'step' ? 60_000 : 60_001)
    assert.deepEqual(ends, [14], wait)
  }
})

test('a call that is over is forgotten with its timer', () => {
  const clock = new ManualClock()
  const calls = new IdentifiedCalls(clock)
  const { listener, ends } = open(calls, clock.wallNow() + hourMs)
  listener.onClose()
  calls.recheck(() => false)
  clock.advance(2 * hourMs)
  assert.deepEqual([ends, clock.pendingTimers], [[], 0])
})
