import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'
import fc from 'fast-check'
import { crossedWords, HeadSampler } from '../../src/telemetry/head-sampler.ts'
import { parseTraceparent } from '../../src/telemetry/trace-context.ts'
import { TraceIds } from '../../src/telemetry/trace-ids.ts'
import { seededRandom } from '../support/seeded-random.ts'

const ratio = (value: number) => new TraceIdRatioBasedSampler(value)

describe('the head sampler decides as the sampler of the SDK does', () => {
  const cases: readonly [string | undefined, string | undefined, Sampler][] = [
    [undefined, undefined, new ParentBasedSampler({ root: new AlwaysOnSampler() })],
    ['', '', new ParentBasedSampler({ root: new AlwaysOnSampler() })],
    ['nonsense', undefined, new ParentBasedSampler({ root: new AlwaysOnSampler() })],
    ['always_on', undefined, new AlwaysOnSampler()],
    ['always_off', undefined, new AlwaysOffSampler()],
    ['parentbased_always_on', undefined, new ParentBasedSampler({ root: new AlwaysOnSampler() })],
    ['parentbased_always_off', undefined, new ParentBasedSampler({ root: new AlwaysOffSampler() })],
    ['traceidratio', '0.3', ratio(0.3)],
    ['traceidratio', '0', ratio(0)],
    ['traceidratio', '2', ratio(1)],
    ['traceidratio', '', ratio(1)],
    ['parentbased_traceidratio', '0.01', new ParentBasedSampler({ root: ratio(0.01) })],
  ]
  const hex = (length: number) =>
    fc
      .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
      .map(digits => digits.join(''))
      .filter(text => !/^0+$/.test(text))

  for (const [name, argument, theirs] of cases) {
    test(`OTEL_TRACES_SAMPLER=${name} OTEL_TRACES_SAMPLER_ARG=${argument}`, () => {
      const ours = HeadSampler.fromEnvironment({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument })
      const check = (traceId: string, parent: boolean | null, isRemote: boolean) => {
        const spanContext = { traceId, spanId: 'b7ad6b7169203331', traceFlags: parent === true ? 1 : 0, isRemote }
        const context = parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext)
        const { decision } = theirs.shouldSample(context, traceId, 'GET', SpanKind.CLIENT, {}, [])
        const decided = parent === null ? ours.decideRoot(crossedWords(traceId)) : ours.decideBelow(parent, traceId)
        assert.equal(decided, decision === SamplingDecision.RECORD_AND_SAMPLED)
      }
      fc.assert(fc.property(hex(32), fc.constantFrom(null, true, false), fc.boolean(), check))
    })
  }
})

test('what is drawn for the sampler is the id that is written out', () => {
  const ids = new TraceIds(seededRandom(7))
  const seen = new Set<string>()
  for (let each = 0; each < 1000; each++) {
    const crossed = ids.draw()
    const traceId = ids.drawn()
    assert.match(traceId, /^[0-9a-f]{32}$/)
    assert.equal(crossedWords(traceId), crossed)
    const traceparent = parseTraceparent(ids.unsampledTraceparent())
    assert.deepEqual([traceparent?.traceId, traceparent?.sampled], [traceId, false])
    seen.add(traceId)
  }
  assert.equal(seen.size, 1000)
})
