import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram } from '../../src/telemetry/histogram.ts'
import { durationBoundariesS } from '../../src/telemetry/semantic-conventions.ts'

test('a value equal to a boundary belongs to the bucket below it', () => {
  const histogram = new Histogram([1, 10])
  for (const value of [1, 1.5, 10, 10.1]) histogram.record(value)
  assert.deepEqual(histogram.value(), { boundaries: [1, 10], counts: [1, 2, 1], count: 4, sum: 22.6, min: 1, max: 10.1 })
})

test('an empty histogram is all zero, and what is no number is not counted', () => {
  const histogram = new Histogram([1])
  histogram.record(Number.NaN)
  assert.deepEqual(histogram.value(), { boundaries: [1], counts: [0, 0], count: 0, sum: 0, min: 0, max: 0 })
})

test('every value is in one bucket, and the one whose boundaries surround it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 30, noNaN: true })), values => {
      const histogram = new Histogram(durationBoundariesS)
      for (const value of values) histogram.record(value)
      const { counts, count } = histogram.value()
      assert.equal(count, values.length)
      const bounds = [Number.NEGATIVE_INFINITY, ...durationBoundariesS, Number.POSITIVE_INFINITY]
      const expected = counts.map((_, index) => {
        const [above = 0, upTo = 0] = [bounds[index], bounds[index + 1]]
        return values.filter(value => value > above && value <= upTo).length
      })
      assert.deepEqual(counts, expected)
    }),
  )
})

test('sum, minimum and maximum are those of the values', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1 }), values => {
      const histogram = new Histogram(durationBoundariesS)
      for (const value of values) histogram.record(value)
      const { sum, min, max } = histogram.value()
      assert.equal(
        sum,
        values.reduce((one, other) => one + other, 0),
      )
      assert.deepEqual([min, max], [Math.min(...values), Math.max(...values)])
    }),
  )
})
