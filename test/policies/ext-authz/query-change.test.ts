import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeQuery } from '../../../src/policies/ext-authz/query-change.ts'

test('parameters are set at the end and taken out, and the others stay as they were written', () => {
  const cases: readonly (readonly [string, readonly (readonly [string, string])[], readonly string[], string])[] = [
    ['/a', [], [], '/a'],
    ['/a?b', [], [], '/a?b'],
    ['/a', [['b', 'c']], [], '/a?b=c'],
    ['/a?b=1&b=2&c&d=%2f', [['b', '3']], [], '/a?c&d=%2f&b=3'],
    ['/a?b=1&c=2', [], ['b'], '/a?c=2'],
    ['/a?b=1', [], ['b', 'none'], '/a'],
    ['/a?b=1', [['b', '2']], ['b'], '/a'],
    [
      '/a',
      [
        ['b', '1'],
        ['b', '2'],
      ],
      [],
      '/a?b=2',
    ],
    ['/a?bc=1', [], ['b'], '/a?bc=1'],
  ]
  for (const [path, toSet, toRemove, expected] of cases) assert.equal(changeQuery(path, toSet, toRemove), expected)
})

test('what is set can neither end the path nor become two parameters', () => {
  assert.equal(changeQuery('/a', [['b&c=#', 'd&e=f#g h\r\nü\ud800']], []), '/a?b%26c%3D%23=d%26e=f%23g%20h%0D%0A%C3%BC%EF%BF%BD')
  assert.equal(changeQuery('/a', [['b', 'x%20y']], []), '/a?b=x%20y', 'what is encoded stays so')
})
