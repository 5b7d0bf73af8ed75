import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { subjectAltNamesOf, tlsConnectOptions } from '../../src/client/upstream-tls.ts'

describe('subjectAltNamesOf', () => {
  it('reads DNS names and URIs, and nothing else', () => {
    const text = 'DNS:a.example, IP Address:10.0.0.1, URI:spiffe://td/ns/a, DNS:b.example, email:x@y'
    assert.deepEqual(subjectAltNamesOf(text), ['a.example', 'spiffe://td/ns/a', 'b.example'])
  })

  it('is not fooled by a name that holds another (CVE-2021-44532)', () => {
    assert.deepEqual(subjectAltNamesOf('DNS:"evil.example, DNS:good.example"'), ['evil.example, DNS:good.example'])
    assert.deepEqual(subjectAltNamesOf('URI:"spiffe://td/\\", DNS:good.example"'), ['spiffe://td/", DNS:good.example'])
  })

  it('finds none in nothing', () => assert.deepEqual(subjectAltNamesOf(''), []))
})

describe('tlsConnectOptions', () => {
  const tls = { sni: '', trustedCa: undefined, subjectAltNames: [], alpnProtocols: [] }

  it('verifies the SNI by default, the host when there is none', () => {
    assert.deepEqual(tlsConnectOptions(tls, 'reviews'), { servername: 'reviews' })
    assert.deepEqual(tlsConnectOptions({ ...tls, sni: 'inner', trustedCa: 'PEM' }, 'reviews'), { servername: 'inner', ca: 'PEM' })
  })

  it('asks for one of the given names instead', () => {
    const { checkServerIdentity } = tlsConnectOptions({ ...tls, subjectAltNames: ['spiffe://td/a', 'b'] }, 'reviews')
    const certificate = (subjectaltname: string) => ({ subjectaltname }) as never
    assert.equal(checkServerIdentity?.('reviews', certificate('URI:spiffe://td/a')), undefined)
    assert.match(
      String(checkServerIdentity?.('reviews', certificate('DNS:reviews'))),
      /names none of spiffe:\/\/td\/a, b \(it has reviews\)/,
    )
  })
})
