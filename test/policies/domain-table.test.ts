import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DomainTable, withoutPort } from '../../src/policies/domain-table.ts'

/** The rule as the proto file words it, with no index. */
function search(domains: readonly string[], host: string): string | null {
  const longest = (found: readonly string[]) => found.toSorted((left, right) => right.length - left.length)[0]
  const suffixes = domains.filter(
    each => each.startsWith('*') && each !== '*' && host.length >= each.length && host.endsWith(each.slice(1)),
  )
  const prefixes = domains.filter(
    each => each.endsWith('*') && each !== '*' && host.length >= each.length && host.startsWith(each.slice(0, -1)),
  )
  return (
    domains.find(each => each === host) ?? longest(suffixes) ?? longest(prefixes) ?? domains.find(each => each === '*') ?? null
  )
}

test('the index finds what a search of the list finds', () => {
  const name = fc.array(fc.constantFrom('a', 'b', '.'), { minLength: 1, maxLength: 5 }).map(parts => parts.join(''))
  const domain = fc.oneof(
    name,
    name.map(each => `*${each}`),
    name.map(each => `${each}*`),
    fc.constant('*'),
  )
  fc.assert(
    fc.property(fc.uniqueArray(domain, { maxLength: 8 }), name, (domains, host) => {
      const table = new DomainTable<string>()
      for (const each of domains) assert.ok(table.add(each, each))
      assert.equal(table.find(host), search(domains, host))
    }),
    { numRuns: 1000, seed: 11 },
  )
})

test('the first of two equal domains stays', () => {
  for (const domain of ['a', '*a', 'a*', '*']) {
    const table = new DomainTable<number>()
    assert.deepEqual([table.add(domain, 1), table.add(domain, 2)], [true, false])
    assert.equal(table.find('a'.repeat(domain === 'a' ? 1 : 2)), 1)
  }
})

test('a port is taken off a name and off an IPv6 address in brackets, and off nothing else', () => {
  assert.deepEqual(['a:80', 'a', '[::1]:80', '[::1]', '::1', 'a:http', 'a:'].map(withoutPort), [
    'a',
    'a',
    '[::1]',
    '[::1]',
    '::1',
    'a:http',
    'a:',
  ])
})
