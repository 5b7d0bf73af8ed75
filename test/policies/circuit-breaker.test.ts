import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CircuitBreaker, type CircuitBreakerThresholds, defaultThresholds } from '../../src/policies/circuit-breaker.ts'

const breaker = (change: Partial<CircuitBreakerThresholds> = {}) => new CircuitBreaker({ ...defaultThresholds, ...change })
const succeeded = (tries: number, acquire: () => boolean) => Array.from({ length: tries }, acquire).filter(Boolean).length

describe('a circuit breaker', () => {
  test('admits up to each threshold, counts refusals, and admits again after a release', () => {
    const one = breaker({ maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4 })
    assert.deepEqual(
      [
        succeeded(9, () => one.tryAcquireConnection()),
        succeeded(9, () => one.tryAcquirePending()),
        succeeded(9, () => one.tryAcquireRequest()),
        succeeded(9, () => one.tryAcquireRetry()),
      ],
      [1, 2, 3, 4],
    )
    assert.deepEqual([one.connections, one.pending, one.requests, one.retries, one.overflows], [1, 2, 3, 4, 26])
    one.releaseRequest()
    assert.equal(one.remaining('requests'), 1)
    assert.ok(one.tryAcquireRequest())
  })

  test('has the defaults of Envoy', () => {
    const one = breaker()
    assert.deepEqual(
      (['connections', 'pending', 'requests', 'retries'] as const).map(each => one.remaining(each)),
      [1024, 1024, 1024, 3],
    )
  })

  test('a lowered threshold takes nothing away, and the counts stay', () => {
    const one = breaker({ maxRequests: 5 })
    succeeded(5, () => one.tryAcquireRequest())
    one.update({ ...defaultThresholds, maxRequests: 2 })
    assert.deepEqual([one.requests, one.remaining('requests')], [5, 0])
    for (let i = 0; i < 3; i++) one.releaseRequest()
    assert.ok(!one.tryAcquireRequest())
    one.releaseRequest()
    assert.ok(one.tryAcquireRequest())
  })

  test('a threshold of 0 admits nobody and Infinity everybody', () => {
    assert.ok(!breaker({ maxRequests: 0 }).tryAcquireRequest())
    assert.equal(breaker({ maxRequests: Number.POSITIVE_INFINITY }).remaining('requests'), Number.POSITIVE_INFINITY)
  })
})

describe('a retry budget', () => {
  test('is a share of what is active and pending, and counts now', () => {
    const one = breaker({ retryBudget: { budgetPercent: 20, minRetryConcurrency: 3 } })
    assert.equal(one.maxRetries, 3)
    succeeded(20, () => one.tryAcquireRequest())
    succeeded(9, () => one.tryAcquirePending())
    assert.equal(one.maxRetries, 5)
    succeeded(1, () => one.tryAcquirePending())
    assert.equal(one.maxRetries, 6)
    assert.equal(
      succeeded(10, () => one.tryAcquireRetry()),
      6,
    )
    for (let i = 0; i < 20; i++) one.releaseRequest()
    assert.ok(!one.tryAcquireRetry())
  })

  test('takes the place of max_retries', () => {
    assert.equal(breaker({ maxRetries: 100, retryBudget: { budgetPercent: 0, minRetryConcurrency: 1 } }).maxRetries, 1)
  })
})

test('what is in use is what was acquired and not released, and never above a constant threshold', () => {
  const step = fc.record({
    isRelease: fc.boolean(),
    which: fc.constantFrom('request' as const, 'pending' as const, 'retry' as const),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.nat(5), (steps, limit) => {
      const one = breaker({ maxRequests: limit, maxPendingRequests: limit, maxRetries: limit })
      const acquire = {
        request: () => one.tryAcquireRequest(),
        pending: () => one.tryAcquirePending(),
        retry: () => one.tryAcquireRetry(),
      }
      const release = {
        request: () => one.releaseRequest(),
        pending: () => one.releasePending(),
        retry: () => one.releaseRetry(),
      }
      const held = { request: 0, pending: 0, retry: 0 }
      for (const { isRelease, which } of steps) {
        if (!isRelease) {
          const acquired = acquire[which]()
          assert.equal(acquired, held[which] < limit)
          if (acquired) held[which]++
        } else if (held[which] > 0) {
          held[which]--
          release[which]()
        }
        assert.deepEqual([one.requests, one.pending, one.retries], [held.request, held.pending, held.retry])
      }
    }),
    { seed: 9 },
  )
})
