import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BreakerOutcome, ErrorRateBreaker, type ErrorRateBreakerOptions } from '../../src/policies/error-rate-breaker.ts'
import { ManualClock } from '../support/manual-clock.ts'

function breaker(options: ErrorRateBreakerOptions = {}) {
  const clock = new ManualClock()
  const changes: string[] = []
  const one = new ErrorRateBreaker(clock, { onChange: kind => changes.push(kind), ...options })
  const call = (outcome: BreakerOutcome, times = 1) => {
    for (let i = 0; i < times; i++) one.record(one.tryPass() ?? assert.fail('open'), outcome)
  }
  return { one, clock, changes, call }
}

describe('an error-rate breaker', () => {
  test('opens above the threshold and not at it', () => {
    const { one, call } = breaker()
    call('success', 20)
    call('failure', 20)
    assert.equal(one.state.kind, 'closed')
    call('failure')
    assert.equal(one.state.kind, 'open')
    assert.equal(one.tryPass(), null)
  })

  test('decides nothing on fewer outcomes than the volume threshold, 20 by default', () => {
    const { one, call } = breaker()
    call('failure', 19)
    assert.equal(one.state.kind, 'closed')
    call('failure')
    assert.equal(one.state.kind, 'open')
  })

  test('forgets what is older than the window', () => {
    const { one, clock, call } = breaker()
    call('failure', 19)
    clock.advance(10_000)
    call('failure', 19)
    assert.equal(one.state.kind, 'closed')
    clock.advance(5000)
    call('failure')
    assert.equal(one.state.kind, 'open')
  })

  test('lets one probe through when its time has come, and closes when that succeeds', () => {
    const { one, clock, changes, call } = breaker()
    call('failure', 20)
    clock.advance(29_999)
    assert.equal(one.tryPass(), null)
    clock.advance(1)
    const probe = one.tryPass() ?? assert.fail()
    assert.equal(one.tryPass(), null)
    one.record(probe, 'success')
    assert.deepEqual(changes, ['open', 'half-open', 'closed'])
  })

  test('opens again when the probe fails', () => {
    const { one, clock, call } = breaker()
    call('failure', 20)
    clock.advance(30_000)
    call('failure')
    assert.equal(one.state.kind, 'open')
    clock.advance(29_999)
    assert.equal(one.tryPass(), null)
    clock.advance(1)
    assert.notEqual(one.tryPass(), null)
  })

  test('begins with an empty window after closing', () => {
    const { one, clock, call } = breaker({ openMs: 1000 })
    call('failure', 20)
    clock.advance(1000)
    call('success')
    call('failure', 19)
    assert.equal(one.state.kind, 'closed')
  })
})

describe('what goes wrong with opossum alone', () => {
  test('no timer runs, open or closed', async t => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    const started = t.mock.method(globalThis, 'setTimeout')
    const repeated = t.mock.method(globalThis, 'setInterval')
    const { one, clock, call } = breaker()
    call('failure', 20)
    clock.advance(30_000)
    call('success')
    assert.equal(one.state.kind, 'closed')
    assert.deepEqual([started.mock.callCount(), repeated.mock.callCount(), clock.pendingTimers], [0, 0, 0])
  })

  test('no latency is retained and a failure costs the same after a million calls', () => {
    const { one, call } = breaker()
    call('success', 1_000_000)
    call('failure', 1000)
    assert.equal(one.state.kind, 'closed')
    assert.ok(JSON.stringify(one).length < 200)
    const begun = performance.now()
    call('failure', 1000)
    assert.ok(performance.now() - begun < 1000, 'less than a millisecond each')
  })

  test('one failure opens nothing', () => {
    const { one, call } = breaker()
    call('failure')
    assert.equal(one.state.kind, 'closed')
  })

  test('a success that began before the trip closes nothing, and a failure that did opens nothing', () => {
    const { one, clock, call } = breaker()
    const early = [one.tryPass() ?? assert.fail(), one.tryPass() ?? assert.fail()] as const
    call('failure', 20)
    clock.advance(30_000)
    const probe = one.tryPass() ?? assert.fail()
    one.record(early[0], 'success')
    assert.equal(one.state.kind, 'half-open')
    one.record(probe, 'success')
    for (let i = 0; i < 100; i++) one.record(early[1], 'failure')
    assert.equal(one.state.kind, 'closed')
  })

  test('a probe that never comes back loses its lease, and what it says later is not heard', () => {
    const { one, clock, call } = breaker({ probeLeaseMs: 5000 })
    call('failure', 20)
    clock.advance(30_000)
    const lost = one.tryPass() ?? assert.fail()
    clock.advance(4999)
    assert.equal(one.tryPass(), null)
    clock.advance(1)
    const probe = one.tryPass() ?? assert.fail()
    one.record(lost, 'success')
    assert.equal(one.state.kind, 'half-open')
    one.record(probe, 'success')
    assert.equal(one.state.kind, 'closed')
  })

  test('overflow and cancellation count neither as failure nor as success', () => {
    const { one, call } = breaker()
    call('overflow', 100)
    call('cancelled', 100)
    call('failure', 19)
    assert.equal(one.state.kind, 'closed')
    call('failure')
    assert.equal(one.state.kind, 'open')
  })

  test('a cancelled probe gives its turn to the next caller', () => {
    const { one, clock, call } = breaker()
    call('failure', 20)
    clock.advance(30_000)
    call('cancelled')
    assert.equal(one.state.kind, 'open')
    call('success')
    assert.equal(one.state.kind, 'closed')
  })

  test('a rejected promise is not left behind', async () => {
    const { call } = breaker()
    const unhandled: unknown[] = []
    const listener = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listener)
    call('failure', 20)
    await new Promise(resolve => setImmediate(resolve))
    process.off('unhandledRejection', listener)
    assert.deepEqual(unhandled, [])
  })
})

describe('a breaker in another process', () => {
  test('stays open for the rest of its time', () => {
    const { one, clock, call } = breaker()
    call('failure', 20)
    clock.advance(10_000)
    const later = new ManualClock(clock.wallNow() + 5000)
    const restored = new ErrorRateBreaker(later, {}, JSON.parse(JSON.stringify(one)))
    later.advance(14_999)
    assert.equal(restored.tryPass(), null)
    later.advance(1)
    restored.record(restored.tryPass() ?? assert.fail(), 'success')
    assert.equal(restored.state.kind, 'closed')
  })

  test('is open no longer than it would have been when the clocks disagree', () => {
    const { one, clock, call } = breaker()
    call('failure', 20)
    const earlier = new ManualClock(clock.wallNow() - 1e9)
    const restored = new ErrorRateBreaker(earlier, {}, one.toJSON())
    earlier.advance(30_000)
    assert.notEqual(restored.tryPass(), null)
  })

  test('keeps its window', () => {
    const { one, call } = breaker()
    call('success', 5)
    call('failure', 14)
    const restored = new ErrorRateBreaker(new ManualClock(), {}, one.toJSON())
    restored.record(restored.tryPass() ?? assert.fail(), 'failure')
    assert.equal(restored.state.kind, 'open')
    assert.deepEqual({ ...one.toJSON() }, { state: 'closed', probeAtWall: 0, successes: 5, failures: 14 })
  })
})
