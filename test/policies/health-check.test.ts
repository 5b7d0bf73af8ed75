import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckedHealth, type CheckResult, type HealthCheckConfig } from '../../src/policies/health-check.ts'

const config: HealthCheckConfig = {
  timeoutMs: 100,
  intervalMs: 1000,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  initialJitterMs: 0,
  intervalJitterMs: 0,
  intervalJitterPercent: 0,
  noTrafficIntervalMs: 60_000,
  unhealthyIntervalMs: 500,
  unhealthyEdgeIntervalMs: 100,
  healthyEdgeIntervalMs: 200,
  check: { kind: 'tcp', send: '', receive: [] },
}

/** The health after each of these checks: `+` healthy, `-` not. */
function after(results: string): string {
  const health = new CheckedHealth(config)
  const named: Record<string, CheckResult> = { h: 'healthy', u: 'unhealthy', f: 'failed' }
  return [...results]
    .map(each => {
      health.report(named[each] ?? 'failed')
      return health.isUnhealthy ? '-' : '+'
    })
    .join('')
}

describe('the health of a checked endpoint', () => {
  const cases: readonly [string, string, string][] = [
    ['the first check decides at once', 'f', '-'],
    ['for better, too', 'h', '+'],
    ['failures are counted', 'hfff', '+++-'],
    ['and a success begins anew', 'hffhfff', '++++++-'],
    ['an answer that it is unhealthy needs no counting', 'hu', '+-'],
    ['successes are counted', 'hufhh', '+---+'],
    ['and a failure begins anew', 'huhfhh', '+----+'],
  ]
  for (const [name, results, expected] of cases) test(name, () => assert.equal(after(results), expected))

  test('the next check comes by what was found', () => {
    const health = new CheckedHealth(config)
    const next = () => health.nextDelayMs(true, () => 0)
    health.report('healthy')
    assert.equal(next(), 1000)
    health.report('unhealthy')
    assert.equal(next(), 100)
    health.report('failed')
    assert.equal(next(), 500)
    health.report('healthy')
    health.report('healthy')
    assert.equal(next(), 200)
    assert.equal(
      health.nextDelayMs(false, () => 0),
      60_000,
    )
  })

  test('jitter spreads the checks', () => {
    const health = new CheckedHealth({ ...config, intervalJitterMs: 100, intervalJitterPercent: 10 })
    health.report('healthy')
    assert.equal(
      health.nextDelayMs(true, () => 0.5),
      1000 + 50 + 50,
    )
  })
})
