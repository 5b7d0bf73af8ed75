import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RE2JS } from 're2js'
import { compileRegex } from '../../src/policies/regex.ts'

test('a regex matches the whole text, also every one of its alternatives', () => {
  const regex = compileRegex('/a/b|/c/d')
  assert.deepEqual(
    ['/a/b', '/c/d', '/a/bEXTRA', '/XX/c/d'].map(text => regex.matches(text)),
    [true, true, false, false],
  )
})

test('the shortcuts for literals, alternatives and prefixes agree with RE2', () => {
  const piece = fc.constantFrom('a', 'ab', '/x', '|', '.*', '.', 'b+', '(a|b)', '\n', '')
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 4 }),
      fc.array(fc.constantFrom('a', 'b', '/x', '\n', '.', '|'), { maxLength: 4 }),
      (regex, text) => {
        const source = regex.join('')
        assert.equal(compileRegex(source).matches(text.join('')), RE2JS.compile(source).testExact(text.join('')))
      },
    ),
    { numRuns: 2000, seed: 3 },
  )
})

test('a regex that is not RE2 is refused', () => {
  assert.throws(() => compileRegex('(?=a)'), /invalid or unsupported Perl syntax/)
})
