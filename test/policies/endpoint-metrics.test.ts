import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addEndpointMetrics, type MetricSum, parseEndpointMetrics } from '../../src/policies/endpoint-metrics.ts'
import { loadReportOf } from '../../src/policies/load-report.ts'

const reportOf = (text: string) => {
  const report = loadReportOf(name => (name === 'endpoint-load-metrics' ? `TEXT ${text}` : undefined))
  assert.ok(report)
  return report
}

function sumsOf(names: readonly string[], ...reports: readonly string[]) {
  const sums = new Map<string, MetricSum>()
  for (const report of reports) addEndpointMetrics(sums, parseEndpointMetrics(names), reportOf(report))
  return Object.fromEntries(Array.from(sums, ([name, { count, total }]) => [name, [count, total]]))
}

test('each metric has its own count and sum (gRFC A64)', () => {
  const reports = [
    'named_metrics.key1=1',
    'named_metrics.key1=1,named_metrics.key2=2',
    'named_metrics.key2=3,cpu_utilization=0.5',
  ]
  assert.deepEqual(sumsOf(['named_metrics.*'], ...reports), {
    'named_metrics.key1': [2, 2],
    'named_metrics.key2': [2, 5],
  })
})

test('only what is asked for is added, by the name that asked for it (gRFC A85)', () => {
  const report =
    'cpu_utilization=0.5,mem_utilization=0.25,named_metrics.a=1,named_metrics.b=2,utilization.disk=0.1,request_cost.x=7'
  assert.deepEqual(sumsOf([], report), {})
  assert.deepEqual(sumsOf(['cpu_utilization', 'application_utilization', 'named_metrics.b', 'utilization.disk'], report), {
    cpu_utilization: [1, 0.5],
    'named_metrics.b': [1, 2],
    'utilization.disk': [1, 0.1],
  })
  assert.deepEqual(sumsOf(['request_cost.*'], report), { 'request_cost.x': [1, 7] })
})

test('names that are not known are ignored, and no entry is added twice', () => {
  assert.deepEqual(parseEndpointMetrics(['eps', 'named_metrics', 'named_metrics.', 'other.x', '__proto__', 'constructor.x']), [])
  const names = ['named_metrics.a', 'named_metrics.*', 'named_metrics.a', 'cpu_utilization', 'cpu_utilization']
  assert.deepEqual(sumsOf(names, 'named_metrics.a=1,cpu_utilization=1'), { 'named_metrics.a': [1, 1], cpu_utilization: [1, 1] })
})

test('endpoints that make names up fill a bounded number of them', () => {
  const report = Array.from({ length: 1200 }, (_, index) => `named_metrics.m${index}=1`).join()
  assert.equal(Object.keys(sumsOf(['named_metrics.*'], report)).length, 1000)
})
