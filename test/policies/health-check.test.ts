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
  noTrafficHealthyIntervalMs: 30_000,
  unhealthyIntervalMs: 500,
  unhealthyEdgeIntervalMs: 100,
  healthyEdgeIntervalMs: 200,
  reusesConnection: true,
  ignoresNewHosts: false,
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
    ['it is unhealthy until its first success', 'f', '-'],
    ['which is enough', 'h', '+'],
    ['a success that is not the first is counted', 'fhh', '--+'],
    ['failures are counted', 'hfff', '+++-'],
    ['and a success begins anew', 'hffhfff', '++++++-'],
    ['an answer that it is unhealthy needs no counting', 'hu', '+-'],
    ['not even after failures', 'hfu', '++-'],
    ['successes are counted', 'hufhh', '+---+'],
    ['and a failure begins anew', 'huhfhh', '+----+'],
  ]
  for (const [name, results, expected] of cases) test(name, () => assert.equal(after(results), expected))

  test('before the first check it is pending and unhealthy', () => {
    const health = new CheckedHealth(config)
    assert.deepEqual([health.isPending, health.isUnhealthy], [true, true])
    assert.equal(health.report('failed'), false)
    assert.equal(health.isPending, false)
  })

  test('the next check comes by what was found; edge intervals are those of counting', () => {
    const health = new CheckedHealth(config)
    const next = (result: CheckResult) => {
      health.report(result)
      return health.nextDelayMs(true, () => 0)
    }
    const results: readonly CheckResult[] = ['failed', 'healthy', 'healthy', 'healthy', 'failed', 'failed', 'failed', 'unhealthy']
    assert.deepEqual(results.map(next), [500, 200, 1000, 1000, 100, 100, 500, 500])
  })

  test('a cluster that was never called is checked seldom', () => {
    const health = new CheckedHealth(config)
    const next = (result: CheckResult) => {
      health.report(result)
      return health.nextDelayMs(false, () => 0)
    }
    const results: readonly CheckResult[] = ['failed', 'healthy', 'healthy', 'failed']
    assert.deepEqual(results.map(next), [60_000, 60_000, 30_000, 60_000])
  })

  test('jitter spreads the checks', () => {
    const health = new CheckedHealth({ ...config, intervalJitterMs: 100, intervalJitterPercent: 10, initialJitterMs: 5000 })
    assert.equal(
      health.firstDelayMs(() => 0.5),
      2500,
    )
    health.report('healthy')
    assert.equal(
      health.nextDelayMs(true, () => 0.5),
      1000 + 50 + 50,
    )
  })

  test('checks never follow each other without a pause', () => {
    const health = new CheckedHealth({ ...config, intervalMs: 0 })
    health.report('healthy')
    assert.equal(
      health.nextDelayMs(true, () => 0),
      1,
    )
    assert.equal(
      health.firstDelayMs(() => 0),
      0,
    )
  })

  test('what was counted outlives a change of the configuration', () => {
    const before = new CheckedHealth(config)
    before.report('healthy')
    before.report('failed')
    const health = new CheckedHealth({ ...config, unhealthyThreshold: 2 }, before)
    assert.equal(health.isUnhealthy, false)
    assert.equal(health.report('failed'), true)
  })
})
