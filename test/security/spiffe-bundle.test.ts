import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseSpiffeBundle, parseSpiffeBundleMap } from '../../src/security/spiffe-bundle.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

const authority = await SvidAuthority.create('td')
const leaf = (await authority.issue('/a')).certificate.raw.toString('base64')
const root = authority.root.raw.toString('base64')
const key = { kty: 'EC', use: 'x509-svid', x5c: [root] }
const rootsOf = (document: unknown) => parseSpiffeBundle('td', document).authorities.map(String)

describe('a bundle (SPIFFE Trust Domain and Bundle, section 4)', () => {
  test('has the authorities among its keys; tokens, other uses and kinds of key are passed over', () => {
    const others = [
      { kty: 'RSA', use: 'jwt-svid', n: 'AQAB', e: 'AQAB' },
      { kty: 'EC', use: 'wit-svid' },
      { kty: 'EC', x5c: [root] },
      { kty: 'future', use: 'x509-svid', x5c: [root] },
    ]
    assert.deepEqual(rootsOf({ keys: [...others, key] }), [String(authority.root)])
    assert.equal(rootsOf({ keys: ['EC', 'RSA', 'OKP'].map(kty => ({ ...key, kty })) }).length, 3)
  })

  test('may have no keys, and then nobody is trusted, but must have the list', () => {
    assert.deepEqual(rootsOf({ keys: [] }), [])
    for (const document of [{}, { keys: null }, { keys: {} }, [], null, 'x'])
      assert.throws(() => rootsOf(document), /the bundle of td must/)
  })

  test('tells its sequence', () => {
    assert.equal(parseSpiffeBundle('td', { keys: [], spiffe_sequence: 7 }).sequence, 7n)
    assert.equal(parseSpiffeBundle('td', { keys: [] }).sequence, undefined)
  })

  test('is refused whole with a key that is none', () => {
    for (const x5c of [undefined, [], [root, root], root, [7]])
      assert.throws(() => rootsOf({ keys: [{ ...key, x5c }] }), /keys\[0\]\.x5c must have one certificate/)
    assert.throws(() => rootsOf({ keys: [key, { ...key, x5c: [leaf] }] }), /keys\[1\]\.x5c is no authority/)
    assert.throws(() => rootsOf({ keys: [{ ...key, x5c: ['AAAA'] }] }))
    assert.throws(() => rootsOf({ keys: [null] }), /keys\[0\] must be an object/)
  })
})

describe('a map of bundles (gRFC A87)', () => {
  test('has one for each trust domain', () => {
    const bundles = parseSpiffeBundleMap(JSON.stringify({ trust_domains: { td: { keys: [key] }, 'a.b_c-d': { keys: [] } } }))
    assert.deepEqual(
      bundles.map(({ trustDomain, authorities }) => [trustDomain, authorities.length]),
      [
        ['td', 1],
        ['a.b_c-d', 0],
      ],
    )
  })

  test('is refused with a domain that is none, with one twice, and as anything else', () => {
    for (const name of ['TD', 'a b', 'td:80', 'me@td', 'td%20', 'td/a', '', 'spiffe://td'])
      assert.throws(() => parseSpiffeBundleMap(JSON.stringify({ trust_domains: { [name]: { keys: [] } } })), /is no trust domain/)
    assert.throws(
      () => parseSpiffeBundleMap('{"trust_domains": {"td": {"keys": []}, "td" : {"keys": []}}}'),
      /the trust domain td is there twice/,
    )
    for (const text of ['', '{}', '{"trust_domains": []}', '[]', '{"trust_domains": {"td": {"keys": []}'])
      assert.throws(() => parseSpiffeBundleMap(text))
  })
})
