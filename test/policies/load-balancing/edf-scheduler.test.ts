import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EdfScheduler } from '../../../src/policies/load-balancing/edf-scheduler.ts'

test('over any stretch of picks nobody is more than a turn and a half away from a fair share', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 12 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.nat(300),
      (weights, random, picks) => {
        const entries = weights.map(weight => ({ weight, picked: 0 }))
        const schedule = new EdfScheduler(entries, ({ weight }) => weight, random)
        for (let i = 0; i < picks; i++) {
          const entry = schedule.next()
          if (entry !== null) entry.picked++
        }
        const sum = weights.reduce((all, weight) => all + weight, 0)
        const rounds = Math.max(...entries.map(({ weight, picked }) => picked - (picks * weight) / sum))
        const least = Math.min(...entries.map(({ weight, picked }) => picked - (picks * weight) / sum))
        assert.ok(rounds < entries.length && least > -entries.length, `${rounds} ${least}`)
      },
    ),
    { numRuns: 300, seed: 5 },
  )
})

test('ratios are exact from round to round', () => {
  const schedule = new EdfScheduler([{ weight: 1 }, { weight: 2 }, { weight: 5 }], ({ weight }) => weight, 0)
  for (let round = 0; round < 20; round++) {
    const weights = Array.from({ length: 8 }, () => schedule.next()?.weight)
    assert.deepEqual(weights.toSorted(), [1, 2, 2, 5, 5, 5, 5, 5])
  }
})

test('equal deadlines come up in the order of the entries', () => {
  const schedule = new EdfScheduler(['a', 'b', 'c'], () => 1, 0)
  assert.deepEqual(Array.from({ length: 6 }, () => schedule.next()).join(''), 'abcabc')
})

test('a changed weight counts from the next turn', () => {
  const weights = { a: 1, b: 1 }
  const schedule = new EdfScheduler<'a' | 'b'>(['a', 'b'], name => weights[name], 0)
  weights.a = 3
  assert.equal(
    Array.from({ length: 8 }, () => schedule.next())
      .join('')
      .replaceAll('b', '').length,
    6,
  )
})

test('nobody to schedule is null', () => {
  assert.equal(new EdfScheduler([], () => 1, 0.9).next(), null)
})
