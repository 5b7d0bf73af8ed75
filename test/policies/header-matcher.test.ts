import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileHeaderMatcher, type HeaderMatcher } from '../../src/policies/header-matcher.ts'

function matcher(match: HeaderMatcher['match'], more: Partial<HeaderMatcher> = {}) {
  return compileHeaderMatcher({ name: 'x', match, invert: false, treatMissingAsEmpty: false, ...more })
}
const exact = (value: string): HeaderMatcher['match'] => ({
  kind: 'string',
  matcher: { kind: 'exact', value, ignoreCase: false },
})

test('a repeated header is matched value by value', () => {
  assert.ok(matcher(exact('a')).matches(['a', 'b']))
  assert.ok(!matcher(exact('a,b')).matches(['a', 'b']))
})

test('an inverted matcher fails when any value matches', () => {
  assert.ok(!matcher(exact('a'), { invert: true }).matches(['b', 'a']))
  assert.ok(matcher(exact('a'), { invert: true }).matches(['b', 'c']))
})

test('an absent header matches no value matcher, inverted or not, unless it is treated as empty', () => {
  assert.ok(!matcher(exact('a')).matches(undefined))
  assert.ok(!matcher(exact('a'), { invert: true }).matches(undefined))
  assert.ok(matcher(exact('a'), { invert: true, treatMissingAsEmpty: true }).matches(undefined))
  assert.ok(matcher(exact(''), { treatMissingAsEmpty: true }).matches(undefined))
})

test('presence can be asked for and its absence too', () => {
  const cases = [
    { present: true, invert: false, values: ['a', undefined], expected: [true, false] },
    { present: false, invert: false, values: ['a', undefined], expected: [false, true] },
    { present: true, invert: true, values: ['', undefined], expected: [false, true] },
  ]
  for (const { present, invert, values, expected } of cases) {
    assert.deepEqual(
      values.map(value => matcher({ kind: 'present', present }, { invert }).matches(value)),
      expected,
    )
  }
})

test('a range is half-open and the whole value must be an integer', () => {
  const range = matcher({ kind: 'range', start: -5, end: 10 })
  assert.deepEqual(
    ['-5', '9', '10', '9.5', '9x', ''].map(value => range.matches(value)),
    [true, true, false, false, false, false],
  )
})

test('case is ignored when asked', () => {
  const any = matcher({ kind: 'string', matcher: { kind: 'contains', value: 'BoB', ignoreCase: true } })
  assert.ok(any.matches('xbOby'))
})
