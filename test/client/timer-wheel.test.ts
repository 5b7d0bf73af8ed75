import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { TimerWheel, WheelTimer } from '../../src/client/timer-wheel.ts'
import type { Clock } from '../../src/runtime.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'

class Probe extends WheelTimer {
  readonly firedAt: number[] = []
  readonly #clock: ManualClock
  readonly #then: ((probe: Probe) => void) | undefined

  constructor(clock: ManualClock, then?: (probe: Probe) => void) {
    super()
    this.#clock = clock
    this.#then = then
  }

  onTimer(): void {
    this.firedAt.push(this.#clock.now())
    this.#then?.(this)
  }
}

describe('TimerWheel', () => {
  it('fires once, never early and at most one tick late', () => {
    const clock = new ManualClock()
    const wheel = new TimerWheel(clock, 5)
    const random = seededRandom(1)
    const probes = Array.from({ length: 500 }, () => ({ probe: new Probe(clock), dueAt: 0 }))
    for (const entry of probes) {
      clock.advance(random() * 7)
      entry.dueAt = clock.now() + random() * 20_000
      wheel.schedule(entry.probe, entry.dueAt)
    }
    for (let step = 0; step < 30_000; step++) clock.advance(1)
    for (const { probe, dueAt } of probes) {
      assert.equal(probe.firedAt.length, 1)
      const late = (probe.firedAt[0] ?? 0) - dueAt
      assert.ok(late >= 0 && late <= 10, `late by ${late}`)
    }
    assert.equal(wheel.waiting, 0)
  })

  it('does not fire what was cancelled, and leaves no timer of the clock behind', () => {
    const clock = new ManualClock()
    const wheel = new TimerWheel(clock)
    const probe = new Probe(clock)
    wheel.schedule(probe, 100)
    wheel.cancel(probe)
    wheel.cancel(probe)
    clock.advance(1000)
    assert.deepEqual(probe.firedAt, [])
    assert.equal(clock.pendingTimers, 0)
  })

  it('is not woken for requests that are answered long before their time', () => {
    const clock = new ManualClock()
    const wheel = new TimerWheel(clock)
    const setTimeout = mock.method(clock, 'setTimeout')
    const probe = new Probe(clock)
    for (let request = 0; request < 1000; request++) {
      wheel.schedule(probe, clock.now() + 15_000)
      clock.advance(1)
      wheel.cancel(probe)
      clock.advance(9)
    }
    assert.equal(setTimeout.mock.callCount(), 1)
    wheel.schedule(probe, clock.now() + 100)
    clock.advance(105)
    assert.deepEqual(probe.firedAt, [10_100], 'a nearer one is not waited for in vain')
  })

  it('replaces the due time of a timer that waits', () => {
    const clock = new ManualClock()
    const wheel = new TimerWheel(clock)
    const probe = new Probe(clock)
    wheel.schedule(probe, 100)
    wheel.schedule(probe, 3000)
    clock.advance(2999)
    assert.deepEqual(probe.firedAt, [])
    clock.advance(10)
    assert.equal(probe.firedAt.length, 1)
  })

  it('fires at the next tick what is due already', () => {
    const clock = new ManualClock()
    const wheel = new TimerWheel(clock)
    clock.advance(777)
    const probe = new Probe(clock)
    wheel.schedule(probe, 0)
    clock.advance(10)
    assert.equal(probe.firedAt.length, 1)
  })

  it('lets a callback arm and cancel timers of its own slot', () => {
    const clock = new ManualClock()
    const wheel = new TimerWheel(clock)
    const victim = new Probe(clock)
    const again = new Probe(clock, probe => {
      wheel.cancel(victim)
      if (probe.firedAt.length < 3) wheel.schedule(probe, clock.now() + 50)
    })
    wheel.schedule(again, 20)
    wheel.schedule(victim, 20)
    clock.advance(500)
    assert.equal(again.firedAt.length, 3)
    assert.deepEqual(victim.firedAt, [])
  })

  it('fires everything due after the process was stopped for longer than a turn of the wheel', () => {
    let now = 0
    let tick = () => {}
    const clock = {
      now: () => now,
      wallNow: () => now,
      setTimeout(callback: () => void) {
        tick = callback
        return { cancel() {} }
      },
    }
    const wheel = new TimerWheel(clock, 1)
    const probes = Array.from({ length: 2000 }, () => new Probe(new ManualClock()))
    for (const [index, probe] of probes.entries()) wheel.schedule(probe, index)
    now = 5000
    tick()
    tick()
    for (const probe of probes) assert.equal(probe.firedAt.length, 1)
  })

  it('lets what came while the event loop was held be read first, once', () => {
    let now = 0
    let tick = () => {}
    const delays: number[] = []
    const clock: Clock = {
      now: () => now,
      wallNow: () => now,
      setTimeout(callback, delayMs) {
        delays.push(delayMs)
        tick = callback
        return { cancel() {} }
      },
    }
    const manual = new ManualClock()
    for (const answered of [true, false]) {
      const wheel = new TimerWheel(clock)
      const probe = new Probe(manual)
      wheel.schedule(probe, now + 100)
      now += 400
      tick()
      assert.deepEqual([probe.firedAt.length, delays.at(-1)], [0, 0], 'the turn of those who read')
      if (answered) wheel.cancel(probe)
      // Which takes long, too.
      now += 400
      tick()
      assert.equal(probe.firedAt.length, answered ? 0 : 1)
      wheel.close()
    }
  })
})
