import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  effectivePerTryTimeoutMs,
  expectedTimeoutMs,
  expiredMs,
  formatGrpcTimeout,
  maxStreamDurationMs,
  parseExpectedTimeoutMs,
  parseGrpcTimeout,
  withinDeadlineMs,
} from '../../src/policies/timeout.ts'

test('a per-try timeout not shorter than the route timeout is ignored', () => {
  const effective = (timeoutMs: number, perTryTimeoutMs: number) => effectivePerTryTimeoutMs({ timeoutMs, perTryTimeoutMs })
  assert.deepEqual([effective(100, 99), effective(100, 100), effective(100, 101), effective(0, 101)], [99, 0, 0, 101])
})

test('a call made for a request ends with the deadline of that request', () => {
  assert.equal(withinDeadlineMs(1000, undefined), 1000)
  assert.equal(withinDeadlineMs(1000, 300), 300)
  assert.equal(withinDeadlineMs(200, 300), 200)
  assert.equal(withinDeadlineMs(0, 300), 300)
  assert.equal(withinDeadlineMs(0, undefined), 0)
  for (const remaining of [0, -5]) assert.equal(withinDeadlineMs(1000, remaining), expiredMs)
})

describe('the longest life of a stream', () => {
  const route = (maxStreamDurationMs?: number, grpcTimeoutHeaderMaxMs?: number, grpcTimeoutHeaderOffsetMs?: number) => ({
    maxStreamDurationMs,
    grpcTimeoutHeaderMaxMs,
    grpcTimeoutHeaderOffsetMs,
  })
  const cases = [
    ['is the listener limit without one of the route', undefined, 500, 900, 900],
    ['is that of the route, 0 turning it off', route(0), undefined, 900, 0],
    ['does not listen to grpc-timeout unless told to', route(700), 500, 900, 700],
    ['is grpc-timeout up to its maximum', route(700, 600), 500, 900, 500],
    ['is no more than the maximum', route(700, 600), 5000, 900, 600],
    ['is any grpc-timeout with a maximum of 0', route(700, 0), 5000, 900, 5000],
    ['is the limit of the route for a request without grpc-timeout', route(700, 600), undefined, 900, 700],
    ['is less by the offset', route(700, 600, 100), 500, 900, 400],
    ['is over at once when the offset leaves nothing', route(700, 600, 500), 500, 900, expiredMs],
  ] as const
  for (const [name, config, grpcTimeoutMs, listenerMs, expected] of cases) {
    test(name, () => assert.equal(maxStreamDurationMs(config, grpcTimeoutMs, listenerMs), expected))
  }
})

describe('grpc-timeout', () => {
  test('is read in every unit', () =>
    assert.deepEqual(
      ['1H', '2M', '3S', '4m', '5u', '6n', '0m', '99999999S'].map(parseGrpcTimeout),
      [3_600_000, 120_000, 3000, 4, 5e-3, 6e-6, 0, 99_999_999_000],
    ))

  test('is ignored when malformed', () => {
    for (const text of ['', 'm', '5', '-5m', '1.5S', '5x', ' 5m', '5m ', '123456789m', '5mm', '1\nm']) {
      assert.equal(parseGrpcTimeout(text), undefined, JSON.stringify(text))
    }
  })

  test('is written rounded up in at most eight digits', () => {
    assert.deepEqual([0, -1, 0.2, 1500, 99_999_999, 1e8, 1e11, 1e13, 1e20].map(formatGrpcTimeout), [
      '0m',
      '0m',
      '1m',
      '1500m',
      '99999999m',
      '100000S',
      '1666667M',
      '2777778H',
      '99999999H',
    ])
  })

  test('is never shorter after writing and reading', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e13, noNaN: true }), timeoutMs => {
        const text = formatGrpcTimeout(timeoutMs)
        const read = parseGrpcTimeout(text) ?? assert.fail(text)
        assert.ok(read >= timeoutMs && read <= Math.max(timeoutMs + 1, timeoutMs * 1.001), `${timeoutMs} ${text}`)
      }),
      { seed: 12 },
    )
  })
})

describe('x-envoy-expected-rq-timeout-ms', () => {
  test('tells the per-try timeout, or what is left of the route timeout when that is less', () => {
    const expected = (timeoutMs: number, perTryTimeoutMs: number, elapsedMs: number) =>
      expectedTimeoutMs({ timeoutMs, perTryTimeoutMs }, elapsedMs)
    assert.deepEqual(
      [expected(1000, 0, 0), expected(1000, 300, 0), expected(1000, 300, 800), expected(1000, 0, 1200), expected(0, 300, 9e9)],
      [1000, 300, 200, 1, 300],
    )
    assert.equal(expected(0, 0, 50), 0)
    assert.equal(expected(1000, 0, 0.5), 1000)
  })

  test('is read as whole milliseconds, 0 and nonsense being no limit', () =>
    assert.deepEqual(['15', '0', undefined, '-1', '1.5', 'x'].map(parseExpectedTimeoutMs), [
      15,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]))
})
