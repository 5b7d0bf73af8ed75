import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setWallTimeout } from '../../src/security/wall-timeout.ts'
import { ManualClock } from '../support/manual-clock.ts'

const hourMs = 3_600_000

function set(delayMs: number) {
  const clock = new ManualClock()
  let fired = 0
  const timer = setWallTimeout(clock, () => fired++, delayMs)
  return { clock, timer, fired: () => fired }
}

test('without a step it is the timer that it is, of any length, and fires once', () => {
  for (const delayMs of [0, 1, 59_999, 60_001, hourMs, 40 * 24 * hourMs]) {
    const { clock, fired } = set(delayMs)
    if (delayMs > 0) clock.advance(delayMs - 1)
    assert.equal(fired(), 0, String(delayMs))
    clock.advance(1)
    clock.advance(hourMs)
    assert.deepEqual([fired(), clock.pendingTimers], [1, 0], String(delayMs))
  }
})

test('a machine that slept, or a clock that is set forward, is noticed within a minute', () => {
  const { clock, fired } = set(12 * hourMs)
  clock.advance(hourMs)
  clock.stepWall(11 * hourMs)
  clock.advance(60_000)
  assert.equal(fired(), 1)
})

test('a clock that is set back delays nothing', () => {
  const { clock, fired } = set(12 * hourMs)
  clock.stepWall(-365 * 24 * hourMs)
  clock.advance(12 * hourMs)
  assert.equal(fired(), 1)
})

test('what is cancelled does not fire, after the first look neither', () => {
  const { clock, timer, fired } = set(2 * hourMs)
  clock.advance(hourMs)
  timer.cancel()
  clock.advance(2 * hourMs)
  assert.deepEqual([fired(), clock.pendingTimers], [0, 0])
})
