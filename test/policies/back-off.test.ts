import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { backOffMs, rateLimitedBackOffMs } from '../../src/policies/back-off.ts'
import type { AnswerHeaders, RateLimitedBackOff } from '../../src/policies/retry.ts'

const almostOne = () => 1 - 2 ** -53

test('the interval doubles from the base to the maximum, and the wait is anywhere below it', () => {
  const backOff = { baseIntervalMs: 25, maxIntervalMs: 250 }
  assert.deepEqual(
    [1, 2, 3, 4, 5, 2000].map(retry => backOffMs(backOff, retry, almostOne)),
    [24, 49, 99, 199, 249, 249],
  )
  assert.equal(
    backOffMs(backOff, 3, () => 0),
    0,
  )
})

const wallNow = 1_700_000_000_250
const retryAfter: RateLimitedBackOff = {
  resetHeaders: [
    { name: 'retry-after', format: 'seconds' },
    { name: 'x-ratelimit-reset', format: 'unix-timestamp' },
  ],
  maxIntervalMs: 300_000,
}
const waits = (headers: AnswerHeaders, random = () => 0) => rateLimitedBackOffMs(retryAfter, headers, wallNow, random)

describe('the wait a server asks for', () => {
  const cases: readonly (readonly [string, AnswerHeaders, number | undefined])[] = [
    ['seconds', { 'retry-after': '3' }, 3000],
    ['an HTTP-date', { 'retry-after': new Date(1_700_000_010_000).toUTCString() }, 9750],
    ['an HTTP-date that has passed', { 'retry-after': new Date(1_600_000_000_000).toUTCString() }, undefined],
    ['a timestamp', { 'x-ratelimit-reset': '1700000007' }, 7000],
    ['a timestamp that has passed', { 'x-ratelimit-reset': '1600000000' }, undefined],
    ['the first header that says', { 'retry-after': '2', 'x-ratelimit-reset': '1700000007' }, 2000],
    ['the first of several values', { 'retry-after': ['4', '9'] }, 4000],
    ['the maximum', { 'retry-after': '300' }, 300_000],
    ['more than the maximum, which is ignored and not clamped', { 'retry-after': '301' }, undefined],
    [
      'more than the maximum, when the next header asks for less',
      { 'retry-after': '301', 'x-ratelimit-reset': '1700000001' },
      1000,
    ],
    ['nothing', { 'retry-after': '0' }, undefined],
    ['a fraction', { 'retry-after': '1.5' }, undefined],
    ['a negative number', { 'retry-after': '-5' }, undefined],
    ['words', { 'retry-after': 'soon' }, undefined],
    ['no header', {}, undefined],
  ]
  for (const [name, headers, expected] of cases) test(name, () => assert.equal(waits(headers), expected))

  test('is spread over half as much again, never less', () => {
    assert.equal(waits({ 'retry-after': '2' }, almostOne), 2999)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.double({ min: 0, max: almostOne(), noNaN: true }), (seconds, random) => {
        const wait = waits({ 'retry-after': String(seconds) }, () => random) ?? 0
        assert.ok(wait >= seconds * 1000 && wait < seconds * 1500)
      }),
      { seed: 8 },
    )
  })
})
