import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CompiledHashPolicy, type HashPolicy, type HashRequest } from '../../src/policies/hash-policy.ts'
import { hash64, loadHash64 } from '../../src/policies/load-balancing/hash64.ts'
import { scriptedRandom } from '../support/seeded-random.ts'

await loadHash64()

const header = (name: string, terminal = false, rewrite?: { regex: string; substitution: string }): HashPolicy => ({
  source: { kind: 'header', name, rewrite },
  terminal,
})
const cookie = (ttlMs: number | undefined, path = ''): HashPolicy => ({
  source: { kind: 'cookie', name: 'session', ttlMs, path },
  terminal: false,
})
const request = (
  headers: Readonly<Record<string, string | readonly string[]>>,
  more: Partial<HashRequest> = {},
): HashRequest => ({
  path: '/',
  header: name => headers[name],
  ...more,
})
const random = scriptedRandom(0.5, 0.25)
const hash = (policies: readonly HashPolicy[], of: HashRequest) => new CompiledHashPolicy(policies).hash(of, random)

describe('one policy', () => {
  test('hashes a header, rewritten where that is asked for', () => {
    assert.equal(hash([header('x-user')], request({ 'x-user': 'jason' })), hash64('jason'))
    const rewrite = { regex: '^(\\w+)@.*$', substitution: '\\1' }
    assert.equal(hash([header('x-user', false, rewrite)], request({ 'x-user': 'jason@a.b' })), hash64('jason'))
    assert.equal(hash([header('x-user')], request({ 'x-user': '' })), hash64(''))
  })

  test('hashes all values of a repeated header, whatever their order', () => {
    const [one, other] = [
      ['b', 'a'],
      ['a', 'b'],
    ].map(values => hash([header('x')], request({ x: values })))
    assert.equal(one, hash64('ab'))
    assert.equal(one, other)
  })

  test('hashes the first value of a query parameter', () => {
    const policy: HashPolicy = { source: { kind: 'query-parameter', name: 'id' }, terminal: false }
    assert.equal(hash([policy], request({}, { path: '/a?b=1&id=7&id=8' })), hash64('7'))
    assert.equal(hash([policy], request({}, { path: '/a?b=1' })), null)
  })

  test('hashes the source address where there is one, and filter state', () => {
    const source: HashPolicy = { source: { kind: 'source-ip' }, terminal: false }
    assert.equal(hash([source], request({})), null)
    assert.equal(new CompiledHashPolicy([source], '10.0.0.1').hash(request({}), random), hash64('10.0.0.1'))
    const state: HashPolicy = { source: { kind: 'filter-state', key: 'io.grpc.channel_id' }, terminal: false }
    assert.equal(hash([state], request({})), null)
    assert.equal(hash([state], request({}, { filterState: key => `${key}=4` })), hash64('io.grpc.channel_id=4'))
  })

  test('hashes a cookie, among others and in quotes', () => {
    assert.equal(hash([cookie(undefined)], request({ cookie: 'a=1; session="abc"; b=2' })), hash64('abc'))
    assert.equal(hash([cookie(undefined)], request({ cookie: ['a=1', 'session=abc'] })), hash64('abc'))
    assert.equal(hash([cookie(undefined)], request({ cookie: 'mysession=abc; sessions=1' })), null)
  })

  test('makes a cookie only when a lifetime says so, 0 being the session', () => {
    const lines: string[] = []
    const asking = () => request({}, { setCookie: line => lines.push(line) })
    assert.equal(hash([cookie(undefined)], asking()), null)
    const made = new CompiledHashPolicy([cookie(60_000, '/app')]).hash(asking(), scriptedRandom(0.5, 0.25))
    assert.equal(made, hash64('8000000040000000'))
    new CompiledHashPolicy([cookie(0)]).hash(asking(), scriptedRandom(0.5, 0.25))
    assert.deepEqual(lines, [
      'session="8000000040000000"; Max-Age=60; Path=/app; HttpOnly',
      'session="8000000040000000"; HttpOnly',
    ])
    assert.equal(hash([cookie(0)], request({})), null, 'nobody takes the cookie')
  })
})

describe('several policies', () => {
  const both = request({ a: '1', b: '2' })

  test('rotate what there is by a bit and mix their own in', () => {
    const first = hash64('1')
    const rotated = BigInt.asUintN(64, (first << 1n) | (first >> 63n))
    assert.equal(hash([header('a'), header('b')], both), rotated ^ hash64('2'))
  })

  test('do not cancel each other out when they are equal', () => assert.notEqual(hash([header('a'), header('a')], both), 0n))

  test('that find nothing change nothing', () => {
    assert.equal(hash([header('none'), header('a'), header('none')], both), hash64('1'))
    assert.equal(hash([header('none')], both), null)
    assert.equal(hash([], both), null)
  })

  test('end at a terminal one, once there is a hash', () => {
    assert.equal(hash([header('a', true), header('b')], both), hash64('1'))
    assert.equal(hash([header('none', true), header('b')], both), hash64('2'))
  })
})
