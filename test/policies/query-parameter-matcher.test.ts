import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileQueryParameterMatcher, queryParameter } from '../../src/policies/query-parameter-matcher.ts'

test('only the first value of a repeated key counts, undecoded', () => {
  assert.equal(queryParameter('/x?ab=0&a=1&a=2', 'a'), '1')
  assert.equal(queryParameter('/x?a=%31', 'a'), '%31')
  assert.equal(queryParameter('/x?a', 'a'), '')
  assert.equal(queryParameter('/x?a=', 'a'), '')
  assert.equal(queryParameter('/a=1', 'a'), undefined)
  assert.equal(queryParameter('/x?ba=1', 'a'), undefined)
})

test('presence and value matchers', () => {
  const present = compileQueryParameterMatcher({ name: 'a', match: { kind: 'present', present: true } })
  const absent = compileQueryParameterMatcher({ name: 'a', match: { kind: 'present', present: false } })
  const value = compileQueryParameterMatcher({
    name: 'a',
    match: { kind: 'string', matcher: { kind: 'regex', regex: '[0-9]+' } },
  })
  assert.deepEqual(
    ['/?a=1', '/?a', '/'].map(path => [present.matches(path), absent.matches(path), value.matches(path)]),
    [
      [true, false, true],
      [true, false, false],
      [false, true, false],
    ],
  )
})
