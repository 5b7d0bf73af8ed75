import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckPacer } from '../../src/client/check-pacer.ts'
import { ManualClock } from '../support/manual-clock.ts'

function setUp(count: number, isConnected: boolean) {
  const clock = new ManualClock()
  const pacer = new CheckPacer(clock)
  const begun: number[] = []
  const checks = Array.from({ length: count }, (_, index) => ({
    isConnected,
    check: () => {
      begun.push(index)
    },
  }))
  return { clock, pacer, begun, checks }
}

describe('checks that are due at once', () => {
  for (const [isConnected, perTurn] of [
    [false, 4],
    [true, 32],
  ] as const) {
    test(`begin ${perTurn} in a turn ${isConnected ? 'on connections that are there' : 'with a new connection each'}, in order`, () => {
      const { clock, pacer, begun, checks } = setUp(100, isConnected)
      for (const check of checks) pacer.begin(check)
      const counts = [begun.length]
      while (clock.pendingTimers > 0) {
        clock.advance(4)
        counts.push(begun.length)
      }
      assert.deepEqual(
        counts,
        Array.from({ length: Math.ceil(100 / perTurn) }, (_, turn) => Math.min(100, (turn + 1) * perTurn)),
      )
      assert.deepEqual(begun, [...checks.keys()])
    })
  }

  test('do not wait while there is room', () => {
    const { clock, pacer, begun, checks } = setUp(8, false)
    for (const check of checks.slice(0, 4)) pacer.begin(check)
    clock.advance(4)
    for (const check of checks.slice(4)) pacer.begin(check)
    assert.equal(begun.length, 8)
    assert.equal(clock.pendingTimers, 0)
  })

  test('wait for those that came before them', () => {
    const { clock, pacer, begun, checks } = setUp(6, false)
    for (const check of checks.slice(0, 5)) pacer.begin(check)
    clock.advance(4)
    for (const check of checks.slice(5)) pacer.begin(check)
    assert.deepEqual(begun, [0, 1, 2, 3, 4, 5])
  })

  test('never begin before the caller goes on, when they are deferred', () => {
    const { clock, pacer, begun, checks } = setUp(5, false)
    for (const check of checks) pacer.defer(check)
    assert.equal(begun.length, 0)
    clock.advance(0)
    assert.equal(begun.length, 4)
    clock.advance(4)
    assert.equal(begun.length, 5)
  })

  test('do not begin once they have left, and the last one takes the timer along', () => {
    const { clock, pacer, begun, checks } = setUp(6, false)
    for (const check of checks) pacer.begin(check)
    for (const check of checks) pacer.leave(check)
    assert.equal(clock.pendingTimers, 0)
    clock.advance(100)
    assert.equal(begun.length, 4)
  })
})
