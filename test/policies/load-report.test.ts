import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeLoadReport, loadReportOf } from '../../src/policies/load-report.ts'

const double = (field: number, value: number) => {
  const bytes = Buffer.alloc(9)
  bytes[0] = field * 8 + 1
  bytes.writeDoubleLE(value, 1)
  return bytes
}
const text = (field: number, value: Buffer | string) => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([field * 8 + 2, bytes.length]), bytes])
}
const entry = (field: number, key: string, value: number) => text(field, Buffer.concat([text(1, key), double(2, value)]))

const bytes = Buffer.concat([
  double(1, 0.5),
  double(2, 0.25),
  // The old, whole number of requests a second.
  Buffer.from([3 * 8, 0x96, 0x01]),
  entry(4, 'db', 3),
  entry(5, 'disk', 0.75),
  double(6, 100),
  double(7, 10),
  entry(8, 'queue', 7),
  double(9, 0.9),
])
const expected = {
  cpuUtilization: 0.5,
  memUtilization: 0.25,
  applicationUtilization: 0.9,
  rps: 100,
  eps: 10,
  utilization: new Map([['disk', 0.75]]),
  requestCost: new Map([['db', 3]]),
  namedMetrics: new Map([['queue', 7]]),
}
const named = [
  'cpu_utilization=0.5',
  'mem_utilization=0.25',
  'application_utilization=0.9',
  'rps_fractional=100',
  'eps=10',
  'utilization.disk=0.75',
  'request_cost.db=3',
  'named_metrics.queue=7',
]
const json = {
  cpu_utilization: 0.5,
  memUtilization: 0.25,
  application_utilization: 0.9,
  rpsFractional: 100,
  eps: 10,
  utilization: { disk: 0.75 },
  request_cost: { db: 3 },
  namedMetrics: { queue: 7 },
}

describe('a load report (ORCA)', () => {
  const forms: Record<string, Record<string, string | Uint8Array>> = {
    'the trailer of gRPC': { 'endpoint-load-metrics-bin': bytes },
    'the same in a header of HTTP': { 'endpoint-load-metrics-bin': bytes.toString('base64') },
    TEXT: { 'endpoint-load-metrics': `TEXT ${named.join(', ')}` },
    JSON: { 'endpoint-load-metrics': `JSON ${JSON.stringify(json)}` },
    BIN: { 'endpoint-load-metrics': `BIN ${bytes.toString('base64')}` },
  }
  for (const [name, headers] of Object.entries(forms)) {
    test(`is read from ${name}`, () =>
      assert.deepEqual(
        loadReportOf(header => headers[header]),
        expected,
      ))
  }

  const broken: Record<string, Record<string, string | Uint8Array>> = {
    'no header': {},
    'no format': { 'endpoint-load-metrics': 'cpu_utilization=1' },
    'a value that is none': { 'endpoint-load-metrics': 'TEXT cpu_utilization=much' },
    'a name that is none': { 'endpoint-load-metrics': 'TEXT cpu=1' },
    'a name of every object': { 'endpoint-load-metrics': 'TEXT constructor.x=1' },
    'no JSON': { 'endpoint-load-metrics': 'JSON {' },
    'cut bytes': { 'endpoint-load-metrics-bin': bytes.subarray(0, -1) },
    'a group': { 'endpoint-load-metrics-bin': Uint8Array.of(0x0b) },
    'an endless number': { 'endpoint-load-metrics-bin': new Uint8Array(20).fill(0xff) },
  }
  for (const [name, headers] of Object.entries(broken)) {
    test(`${name} is none`, () =>
      assert.equal(
        loadReportOf(header => headers[header]),
        null,
      ))
  }

  test('what is below zero or no number is not known', () => {
    const report = decodeLoadReport(Buffer.concat([double(1, -1), double(6, Number.NaN), double(9, Number.POSITIVE_INFINITY)]))
    assert.deepEqual([report?.cpuUtilization, report?.rps, report?.applicationUtilization], [0, 0, 0])
  })
})
