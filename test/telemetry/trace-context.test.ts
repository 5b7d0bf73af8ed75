import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseTraceparent } from '../../src/telemetry/trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

describe('traceparent (W3C Trace Context section 3.2)', () => {
  const good: readonly [string, boolean][] = [
    [`00-${traceId}-${spanId}-01`, true],
    [`00-${traceId}-${spanId}-00`, false],
    [`00-${traceId}-${spanId}-03`, true],
    [`00-${traceId}-${spanId}-02`, false],
    [`cc-${traceId}-${spanId}-01-what-the-future-brings`, true],
  ]
  for (const [header, sampled] of good) {
    test(`${header} is read`, () => assert.deepEqual(parseTraceparent(header), { traceId, spanId, sampled }))
  }

  const bad: readonly (string | string[] | undefined)[] = [
    undefined,
    '',
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `cc-${traceId}-${spanId}-01.more`,
    [`00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-01`],
  ]
  for (const header of bad) {
    test(`${JSON.stringify(header)} begins a new trace`, () => assert.equal(parseTraceparent(header), null))
  }
})
