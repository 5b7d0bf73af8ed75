import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canonicalPath } from '../../src/security/canonical-path.ts'

const canonical: readonly (readonly [string, string])[] = [
  ['/', '/'],
  ['/admin', '/admin'],
  ['/a.b/c.d', '/a.b/c.d'],
  ['/.well-known/x', '/.well-known/x'],
  ['/a/...', '/a/...'],
  ['/a..', '/a..'],
  ['/..a', '/..a'],
  ['/admin?x=/../%2f', '/admin?x=/../%2f'],
  ['//admin', '/admin'],
  ['/a///b//', '/a/b/'],
  ['/x/../admin', '/admin'],
  ['/x/./admin', '/x/admin'],
  ['/../../admin', '/admin'],
  ['/x/..', '/'],
  ['/x/.', '/x/'],
  ['/x//../admin', '/admin'],
  ['/%61dmin', '/admin'],
  ['/a%7eb', '/a~b'],
  ['/a%c3%a9', '/a%C3%A9'],
  ['/a;x=1/b', '/a;x=1/b'],
  ['/a%20b', '/a%20b'],
  ['/a%25b', '/a%25b'],
  ['/é', '/é'],
]

describe('B7: a path is canonicalised once', () => {
  for (const [given, expected] of canonical) {
    test(`${given} is ${expected}`, () => {
      const latin1 = Buffer.from(given).toString('latin1')
      assert.deepEqual(canonicalPath(latin1), { ok: true, path: Buffer.from(expected).toString('latin1') })
    })
  }

  test('and its form is the same when it is canonicalised again', () => {
    for (const [given] of canonical) {
      const once = canonicalPath(Buffer.from(given).toString('latin1'))
      assert.ok(once.ok)
      assert.deepEqual(canonicalPath(once.path), once)
    }
  })
})

describe('B7: what could be read in two ways is refused', () => {
  const refused = [
    '/admin%2f',
    '/admin%2Fx',
    '/a%5c..%5cadmin',
    '/admin%00',
    '/%2e%2e/admin',
    '/.%2e/admin',
    '/%2e/admin',
    '/%252e%252e/admin',
    '/a%252fadmin',
    '/a%25252fadmin',
    '/a%255cadmin',
    '/\\admin',
    '/admin#x',
    '/admin?x#y',
    '/..;/admin',
    '/..;x=1/admin',
    '/.;/admin',
    '/..%3b/admin',
    '/%c0%ae/admin',
    '/%ff',
    '/%u002fadmin',
    '/%',
    '/%a',
    '/%0aadmin',
    '/a b',
    '/\t',
    '\xff'.padStart(2, '/'),
    'admin',
    '',
    '?x',
    '*',
  ]
  for (const given of refused) test(JSON.stringify(given), () => assert.equal(canonicalPath(given).ok, false))
})
