import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HeaderSource, readHeader } from '../../src/client/route-request.ts'

const forms: readonly (readonly [string, HeaderSource])[] = [
  ['a flat list', ['X-One', '1', 'x-Two', 'a', 'x-two', 'b']],
  ['a flat list of buffers', [Buffer.from('X-One'), Buffer.from('1'), 'x-two', 'a', Buffer.from('X-TWO'), 'b']],
  ['an object', { 'X-One': '1', 'x-two': ['a', 'b'] }],
  ['an object with a name twice', { 'x-one': '1', 'X-Two': 'a', 'x-two': 'b' }],
  [
    'pairs',
    new Map([
      ['X-One', '1'],
      ['x-two', 'a'],
      ['X-Two', 'b'],
    ]),
  ],
  [
    'Headers',
    new Headers([
      ['x-one', '1'],
      ['x-two', 'a, b'],
    ]),
  ],
]
for (const [title, headers] of forms) {
  test(`headers are read out of ${title}`, () => {
    assert.equal(readHeader(headers, 'x-one'), '1')
    const two = readHeader(headers, 'x-two')
    assert.equal(typeof two === 'string' ? two : two?.join(', '), 'a, b')
    assert.equal(readHeader(headers, 'x-none'), undefined)
  })
}

test('no headers have no header', () => {
  assert.equal(readHeader(null, 'x'), undefined)
  assert.equal(readHeader(undefined, 'x'), undefined)
})

test('reading leaves the headers as they were', () => {
  const headers = { 'X-Two': ['a'], 'x-two': 'b' }
  assert.deepEqual(readHeader(headers, 'x-two'), ['a', 'b'])
  assert.deepEqual(headers, { 'X-Two': ['a'], 'x-two': 'b' })
})
