import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TokenRetryBudget } from '../../src/policies/retry-budget.ts'
import { ManualClock } from '../support/manual-clock.ts'

const withdrawals = (budget: TokenRetryBudget) => {
  let count = 0
  while (budget.tryWithdraw()) count++
  return count
}

test('a caller without requests has the reserve: 10 retries a second over 10 s', () => {
  assert.equal(withdrawals(new TokenRetryBudget(new ManualClock())), 100)
})

test('each request adds a fifth of a retry', () => {
  const budget = new TokenRetryBudget(new ManualClock(), { minRetriesPerSecond: 0 })
  for (let i = 0; i < 4; i++) budget.deposit()
  assert.ok(!budget.tryWithdraw())
  budget.deposit()
  assert.equal(budget.available, 1)
  assert.ok(budget.tryWithdraw())
  assert.ok(!budget.tryWithdraw())
})

test('a ratio that is no whole number of requests adds up', () => {
  const budget = new TokenRetryBudget(new ManualClock(), { minRetriesPerSecond: 0, retryRatio: 0.3 })
  for (let i = 0; i < 10; i++) budget.deposit()
  assert.equal(withdrawals(budget), 3)
})

test('deposits expire after the time to live, and withdrawals with them', () => {
  const clock = new ManualClock()
  const budget = new TokenRetryBudget(clock, { minRetriesPerSecond: 1 })
  for (let i = 0; i < 50; i++) budget.deposit()
  assert.equal(budget.available, 20)
  assert.equal(withdrawals(budget), 20)
  clock.advance(9000)
  assert.equal(budget.available, 0)
  clock.advance(1000)
  assert.equal(budget.available, 10)
  clock.advance(1e9)
  assert.equal(budget.available, 10)
})

test('retries in one time to live never exceed the reserve and the ratio of its requests', () => {
  const step = fc.oneof(fc.constant('deposit'), fc.constant('withdraw'), fc.integer({ min: 1, max: 3000 }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), steps => {
      const clock = new ManualClock()
      const budget = new TokenRetryBudget(clock, { minRetriesPerSecond: 0.5 })
      const requests: number[] = []
      const retries: number[] = []
      for (const each of steps) {
        if (each === 'deposit') {
          budget.deposit()
          requests.push(clock.now())
        } else if (each === 'withdraw') {
          if (budget.tryWithdraw()) retries.push(clock.now())
          // Slots are a tenth of the time to live, so that what is counted began at most that much earlier.
          const since = Math.floor(clock.now() / 1000) * 1000 - 9000
          const recent = (times: readonly number[]) => times.filter(time => time >= since).length
          assert.ok(recent(retries) <= 5 + recent(requests) * 0.2 + 1e-9)
        } else {
          clock.advance(Number(each))
        }
      }
    }),
    { seed: 10, numRuns: 200 },
  )
})
