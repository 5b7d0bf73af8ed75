import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInSlices } from '../../src/discovery/run-in-slices.ts'
import { ManualClock } from '../support/manual-clock.ts'

test('work gives way to the event loop whenever its slice is used up, and only then', async () => {
  const clock = new ManualClock()
  let turns = 0
  let ended = false
  const watch = () => {
    if (ended) return
    turns++
    setImmediate(watch)
  }
  setImmediate(watch)
  function* work(): Generator<undefined, string, undefined> {
    for (let step = 0; step < 12; step++) {
      clock.advance(1)
      yield
    }
    return 'done'
  }
  assert.equal(await runInSlices(work(), clock, 4), 'done')
  ended = true
  assert.ok(turns >= 3 && turns <= 4, `${turns} turns`)
})

test('an error of the work is the error of the run', async () => {
  // biome-ignore lint/correctness/useYield: it fails first
  function* work(): Generator<undefined, never, undefined> {
    throw new Error('bad')
  }
  await assert.rejects(runInSlices(work(), new ManualClock()), /bad/)
})
