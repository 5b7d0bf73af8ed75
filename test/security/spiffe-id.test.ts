import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSpiffeId } from '../../src/security/spiffe-id.ts'

test('a SPIFFE ID is read', () => {
  assert.deepEqual(parseSpiffeId('spiffe://my-td.example_1/ns/A.b/sa/c-d_e'), {
    text: 'spiffe://my-td.example_1/ns/A.b/sa/c-d_e',
    trustDomain: 'my-td.example_1',
    path: '/ns/A.b/sa/c-d_e',
  })
  assert.deepEqual(parseSpiffeId('spiffe://td'), { text: 'spiffe://td', trustDomain: 'td', path: '' })
})

const bad: readonly (readonly [string, RegExp])[] = [
  ['', /does not begin/],
  ['SPIFFE://td/a', /does not begin/],
  ['https://td/a', /does not begin/],
  ['spiffe:///a', /no trust domain/],
  ['spiffe://TD/a', /trust domain of other characters/],
  ['spiffe://td:80/a', /trust domain of other characters/],
  ['spiffe://user@td/a', /trust domain of other characters/],
  ['spiffe://t%64/a', /trust domain of other characters/],
  ['spiffe://td?a', /trust domain of other characters/],
  [`spiffe://${'a'.repeat(256)}/a`, /longer than 255/],
  ['spiffe://td/', /empty path segment/],
  ['spiffe://td/a/', /empty path segment/],
  ['spiffe://td//a', /empty path segment/],
  ['spiffe://td/a/./b', /path segment "."/],
  ['spiffe://td/a/../b', /path segment ".."/],
  ['spiffe://td/a%2fb', /path of other characters/],
  ['spiffe://td/a?b', /path of other characters/],
  ['spiffe://td/a#b', /path of other characters/],
  ['spiffe://td/ä', /path of other characters/],
  [`spiffe://td/${'a'.repeat(2048)}`, /longer than 2048/],
]

for (const [text, expected] of bad) {
  test(`A6: ${text.slice(0, 30)} is none`, () => {
    const parsed = parseSpiffeId(text)
    assert.match('problem' in parsed ? parsed.problem : '', expected)
  })
}
