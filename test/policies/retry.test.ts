import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HeaderMatcher } from '../../src/policies/header-matcher.ts'
import {
  type AttemptFailure,
  CompiledRetryPolicy,
  defaultRetryPolicy,
  type RetryCondition,
  type RetryPolicy,
  retryConditions,
} from '../../src/policies/retry.ts'

const policy = (retryOn: readonly RetryCondition[], more: Partial<RetryPolicy> = {}) =>
  new CompiledRetryPolicy({ ...defaultRetryPolicy, retryOn, ...more })

const failures: readonly AttemptFailure[] = [
  'connect-failure',
  'refused-stream',
  'reset-before-request',
  'reset',
  'per-try-timeout',
]

/** Failures that each condition retries; conditions that are not here retry none. */
const retried: Partial<Record<RetryCondition, readonly AttemptFailure[]>> = {
  '5xx': failures,
  'gateway-error': failures,
  reset: failures,
  'reset-before-request': ['connect-failure', 'reset-before-request'],
  'connect-failure': ['connect-failure'],
  'refused-stream': ['refused-stream'],
}

describe('failures', () => {
  for (const condition of retryConditions) {
    const expected = retried[condition] ?? []
    test(`${condition} retries ${expected.length === 0 ? 'none' : expected.join(', ')}`, () => {
      const on = policy([condition], { retriableStatusCodes: [503, 504] })
      assert.deepEqual(
        failures.filter(failure => on.retriesFailure(failure)),
        expected,
      )
    })
  }

  test('a per-try timeout is left alone by connect failures, refused streams and the status 504', () => {
    const on = policy(['connect-failure', 'refused-stream', 'reset-before-request', 'retriable-status-codes'], {
      retriableStatusCodes: [504],
    })
    assert.ok(!on.retriesFailure('per-try-timeout'))
  })
})

const statuses = [200, 400, 409, 429, 500, 501, 502, 503, 504, 505, 599, 600]
const byStatus: Partial<Record<RetryCondition, readonly number[]>> = {
  '5xx': [500, 501, 502, 503, 504, 505, 599],
  'gateway-error': [502, 503, 504],
  'retriable-4xx': [409],
  'retriable-status-codes': [429],
}

describe('answers', () => {
  for (const condition of retryConditions) {
    const expected = byStatus[condition] ?? []
    test(`${condition} retries ${expected.length === 0 ? 'no status' : expected.join(', ')}`, () => {
      const on = policy([condition], { retriableStatusCodes: [429] })
      assert.deepEqual(
        statuses.filter(status => on.retriesResponse(status, {})),
        expected,
      )
    })
  }

  test('x-envoy-ratelimited forbids a retry, unless it is asked for, and then alone decides', () => {
    const headers = { 'x-envoy-ratelimited': '' }
    assert.ok(!policy(['5xx']).retriesResponse(503, headers))
    assert.ok(policy(['5xx', 'envoy-ratelimited']).retriesResponse(503, headers))
    assert.ok(policy(['envoy-ratelimited']).retriesResponse(429, headers))
    assert.ok(!policy(['envoy-ratelimited']).retriesResponse(503, {}))
  })

  test('x-envoy-overloaded does not forbid a retry', () =>
    assert.ok(policy(['5xx']).retriesResponse(503, { 'x-envoy-overloaded': 'true' })))

  test('retriable-headers retries on any of the matchers, and only where the condition is set', () => {
    const header = (name: string, value: string): HeaderMatcher => ({
      name,
      match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } },
      invert: false,
      treatMissingAsEmpty: false,
    })
    const retriableHeaders = [header('x-try', 'again'), header(':status', '418')]
    const on = policy(['retriable-headers'], { retriableHeaders })
    assert.ok(on.retriesResponse(200, { 'x-try': 'again' }))
    assert.ok(on.retriesResponse(200, { 'x-try': ['no', 'again'] }))
    assert.ok(on.retriesResponse(418, {}))
    assert.ok(!on.retriesResponse(200, { 'x-try': 'no' }))
    assert.ok(!policy(['5xx'], { retriableHeaders }).retriesResponse(200, { 'x-try': 'again' }))
  })

  test('a gRPC status is read from the headers of a trailers-only answer', () => {
    const names = { cancelled: 1, 'deadline-exceeded': 4, 'resource-exhausted': 8, internal: 13, unavailable: 14 } as const
    for (const [name, code] of Object.entries(names)) {
      const on = policy([name as keyof typeof names])
      const codes = Array.from({ length: 17 }, (_, status) => status).filter(status =>
        on.retriesResponse(200, { 'grpc-status': String(status) }),
      )
      assert.deepEqual(codes, [code])
      assert.ok(on.retriesGrpcStatus(code))
    }
    for (const bad of ['', 'x', '-14', '1e1', '46', '140']) {
      assert.ok(!policy(['unavailable']).retriesResponse(200, { 'grpc-status': bad }), bad)
    }
  })
})

test('only requests that match one of the retriable request headers are retried', () => {
  const method = (value: string): HeaderMatcher => ({
    name: ':method',
    match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } },
    invert: false,
    treatMissingAsEmpty: false,
  })
  const request = (value: string) => ({ header: (name: string) => (name === ':method' ? value : undefined) })
  const on = policy(['5xx'], { retriableRequestHeaders: [method('GET'), method('HEAD')] })
  assert.deepEqual(
    ['GET', 'HEAD', 'POST'].map(value => on.allowsRequest(request(value))),
    [true, true, false],
  )
  assert.ok(policy(['5xx']).allowsRequest(request('POST')))
})

test('a failure that is a gRPC status to the caller counts like one of the server', () => {
  const on = policy(['unavailable'])
  assert.ok(on.retriesFailure('reset', 14))
  assert.ok(!on.retriesFailure('reset', 1))
  assert.ok(!on.retriesFailure('reset'))
})

test('the default policy retries only what cannot have reached the application', () => {
  const on = new CompiledRetryPolicy(defaultRetryPolicy)
  assert.deepEqual(
    failures.filter(failure => on.retriesFailure(failure)),
    ['connect-failure', 'refused-stream', 'reset-before-request'],
  )
  assert.ok(!statuses.some(status => on.retriesResponse(status, {})))
})
