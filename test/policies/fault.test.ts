import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CompiledFault, type FaultConfig } from '../../src/policies/fault.ts'
import { seededRandom } from '../support/seeded-random.ts'

const percent = (numerator: number) => ({ numerator, denominator: 100 }) as const
const fault = (change: Partial<FaultConfig>) =>
  new CompiledFault({
    delay: undefined,
    abort: undefined,
    headers: [],
    upstreamCluster: '',
    maxActiveFaults: Number.MAX_SAFE_INTEGER,
    ...change,
  })
const request = (headers: Readonly<Record<string, string>> = {}) => ({ header: (name: string) => headers[name] })
const delay = (change: Partial<NonNullable<FaultConfig['delay']>> = {}) => ({
  fixedDelayMs: 500,
  fromHeader: false,
  percentage: percent(100),
  ...change,
})
const abort = (change: Partial<NonNullable<FaultConfig['abort']>> = {}) => ({
  httpStatus: 503,
  grpcStatus: undefined,
  fromHeader: false,
  percentage: percent(100),
  ...change,
})
const always = () => 0

test('a fault is meant for its cluster and for requests that match all its headers', () => {
  const one = fault({
    upstreamCluster: 'reviews',
    headers: [
      {
        name: 'end-user',
        match: { kind: 'string', matcher: { kind: 'exact', value: 'jason', ignoreCase: false } },
        invert: false,
        treatMissingAsEmpty: false,
      },
    ],
  })
  assert.ok(one.appliesTo(request({ 'end-user': 'jason' }), 'reviews'))
  assert.ok(!one.appliesTo(request({ 'end-user': 'jason' }), 'ratings'))
  assert.ok(!one.appliesTo(request(), 'reviews'))
  assert.ok(fault({}).appliesTo(request(), 'any'))
})

describe('a delay', () => {
  test('hits its share of the requests', () => {
    const random = seededRandom(1)
    const one = fault({ delay: delay({ percentage: percent(30) }) })
    let delayed = 0
    for (let i = 0; i < 2000; i++) if (one.delayMs(request(), random) === 500) delayed++
    assert.ok(Math.abs(delayed / 2000 - 0.3) < 0.04, `${delayed}`)
  })

  test('of 0 % hits nobody and of 100 % everybody', () => {
    assert.equal(fault({ delay: delay({ percentage: percent(0) }) }).delayMs(request(), always), 0)
    assert.equal(
      fault({ delay: delay() }).delayMs(request(), () => 0.999999),
      500,
    )
    assert.equal(fault({}).delayMs(request(), always), 0)
  })

  test('may come from a header where that is allowed', () => {
    const headers = { 'x-envoy-fault-delay-request': '70' }
    assert.equal(fault({ delay: delay({ fixedDelayMs: undefined, fromHeader: true }) }).delayMs(request(headers), always), 70)
    assert.equal(fault({ delay: delay() }).delayMs(request(headers), always), 500)
    for (const bad of ['', '-1', 'x', '0']) {
      const asked = request({ 'x-envoy-fault-delay-request': bad })
      assert.equal(fault({ delay: delay({ fixedDelayMs: undefined, fromHeader: true }) }).delayMs(asked, always), 0)
    }
  })

  test('from a header may be rarer than configured and never more frequent', () => {
    const one = fault({ delay: delay({ fixedDelayMs: undefined, fromHeader: true, percentage: percent(40) }) })
    const hits = (asked: string, random: number) => {
      const headers = { 'x-envoy-fault-delay-request': '1', 'x-envoy-fault-delay-request-percentage': asked }
      return one.delayMs(request(headers), () => random) > 0
    }
    assert.deepEqual([hits('10', 0.05), hits('10', 0.2), hits('90', 0.35), hits('90', 0.5)], [true, false, true, false])
  })
})

test('F20: headers ask in vain unless the configuration says that they may, and for no more than it has', () => {
  const asking = {
    'x-envoy-fault-delay-request': '70',
    'x-envoy-fault-delay-request-percentage': '100',
    'x-envoy-fault-abort-request': '418',
    'x-envoy-fault-abort-grpc-request': '16',
    'x-envoy-fault-abort-request-percentage': '100',
  }
  const none = fault({})
  assert.deepEqual([none.delayMs(request(asking), always), none.abort(request(asking), always, false)], [0, null])
  const never = fault({ delay: delay({ percentage: percent(0) }), abort: abort({ percentage: percent(0) }) })
  assert.deepEqual([never.delayMs(request(asking), always), never.abort(request(asking), always, false)], [0, null])
  const rare = { fromHeader: true, percentage: percent(10) }
  const some = fault({ delay: delay(rare), abort: abort(rare) })
  const often = () => 0.5
  assert.deepEqual([some.delayMs(request(asking), often), some.abort(request(asking), often, false)], [0, null])
})

describe('an abort', () => {
  test('answers with its status', () => {
    assert.deepEqual(fault({ abort: abort() }).abort(request(), always, false), { httpStatus: 503, grpcStatus: undefined })
  })

  test('of gRPC is a 200 with a gRPC status', () => {
    const one = fault({ abort: abort({ httpStatus: undefined, grpcStatus: 14 }) })
    assert.deepEqual(one.abort(request(), always, false), { httpStatus: 200, grpcStatus: 14 })
  })

  test('may come from a header, within bounds', () => {
    const one = fault({ abort: abort({ httpStatus: undefined, fromHeader: true }) })
    const answer = (headers: Readonly<Record<string, string>>) => one.abort(request(headers), always, false)
    assert.deepEqual(answer({ 'x-envoy-fault-abort-request': '418' }), { httpStatus: 418, grpcStatus: undefined })
    assert.deepEqual(answer({ 'x-envoy-fault-abort-grpc-request': '16' }), { httpStatus: 200, grpcStatus: 16 })
    for (const bad of ['199', '600', 'x']) assert.equal(answer({ 'x-envoy-fault-abort-request': bad }), null)
    assert.equal(answer({ 'x-envoy-fault-abort-grpc-request': '17' }), null)
    assert.equal(answer({}), null)
  })
})

test('no more faults are under way than allowed, and a delay with its abort is one', () => {
  const one = fault({ delay: delay(), abort: abort(), maxActiveFaults: 1 })
  assert.equal(one.delayMs(request(), always), 500)
  assert.equal(one.delayMs(request(), always), 0)
  assert.equal(one.abort(request(), always, false), null)
  assert.notEqual(one.abort(request(), always, true), null)
  assert.equal(one.active, 1)
  one.end()
  assert.equal(one.delayMs(request(), always), 500)
})
