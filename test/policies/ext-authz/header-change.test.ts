import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { changeHeaders, type HeaderChange, headerChangeProblem } from '../../../src/policies/ext-authz/header-change.ts'

function changed(before: Readonly<Record<string, string>>, ...changes: readonly HeaderChange[]) {
  const headers = new Map(Object.entries(before))
  changeHeaders(
    {
      has: name => headers.has(name),
      set: (name, value) => headers.set(name, value),
      append: (name, value) => headers.set(name, [headers.get(name) ?? [], value].flat().join(',')),
    },
    changes,
  )
  return Object.fromEntries(headers)
}
const change = (name: string, value: string, action: HeaderChange['action'] = 'overwrite-if-exists-or-add') => ({
  name,
  value,
  action,
})

test('each action, on a header that is there and on one that is not', () => {
  const results = (
    ['append-if-exists-or-add', 'append-if-exists', 'add-if-absent', 'overwrite-if-exists-or-add', 'overwrite-if-exists'] as const
  ).map(action => changed({ a: 'old' }, change('A', 'new', action), change('b', 'new', action)))
  assert.deepEqual(results, [
    { a: 'old,new', b: 'new' },
    { a: 'old,new' },
    { a: 'old', b: 'new' },
    { a: 'new', b: 'new' },
    { a: 'new' },
  ])
})

test('who a message is for, and where it ends, is not changed', () => {
  const before = { host: 'a', ':path': '/', 'content-length': '1', 'transfer-encoding': 'chunked', connection: 'close' }
  assert.deepEqual(
    changed(
      before,
      ...['Host', ':path', ':method', 'Content-Length', 'Transfer-Encoding', 'Connection'].map(name => change(name, 'x')),
    ),
    before,
  )
})

describe('one change that cannot be made spoils them all', () => {
  for (const bad of ['', 'a b', 'a:', 'ü', 'a\r\nb', ':']) {
    test(`the name ${JSON.stringify(bad)}`, () =>
      assert.match(headerChangeProblem([change('a', 'b'), change(bad, 'x')]) ?? '', /is no header/))
  }
  for (const bad of ['a\r\nb: c', 'a\nb', 'a\0', '\u0100', '\x7f']) {
    test(`the value ${JSON.stringify(bad)}`, () =>
      assert.match(headerChangeProblem([change('a', bad)]) ?? '', /no header can have/))
  }
  test('none', () => assert.equal(headerChangeProblem([change('a', 'b\tc \xfc')]), undefined))
})
