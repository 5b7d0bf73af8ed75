import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dropCategory } from '../../src/policies/drop-overload.ts'
import { scriptedRandom, seededRandom } from '../support/seeded-random.ts'

const drops = [
  { category: 'lb', probability: 0.2 },
  { category: 'throttle', probability: 0.5 },
]

test('each category has a throw of its own, in order', () => {
  assert.equal(dropCategory(drops, scriptedRandom(0.1)), 'lb')
  assert.equal(dropCategory(drops, scriptedRandom(0.2, 0.49)), 'throttle')
  assert.equal(dropCategory(drops, scriptedRandom(0.2, 0.5)), null)
  assert.equal(dropCategory([], scriptedRandom(0)), null)
})

test('a later category takes its share of what is left', () => {
  const random = seededRandom(2)
  const counts = { lb: 0, throttle: 0, none: 0 }
  for (let i = 0; i < 5000; i++) counts[(dropCategory(drops, random) ?? 'none') as keyof typeof counts]++
  assert.ok(Math.abs(counts.lb / 5000 - 0.2) < 0.03 && Math.abs(counts.throttle / 5000 - 0.4) < 0.03)
})
