import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SubjectAltNameCheck } from '../../src/client/subject-alt-names.ts'
import type { SubjectAltNameMatcher } from '../../src/discovery/model/tls.ts'
import { makeCertificate } from '../support/svid-fixtures.ts'

const exact = (type: SubjectAltNameMatcher['type'], value: string): SubjectAltNameMatcher => ({
  type,
  matcher: { kind: 'exact', value, ignoreCase: false },
})
const problem = async (matchers: readonly SubjectAltNameMatcher[], ...names: Parameters<typeof makeCertificate>[0]) =>
  new SubjectAltNameCheck(matchers).problem(await makeCertificate(names))

describe('SubjectAltNameCheck', () => {
  it('takes a certificate with one of the names, of the kind that was asked for', async () => {
    const matchers = [exact('uri', 'spiffe://td/a'), exact('dns', 'b.example')]
    assert.equal(await problem(matchers, 'url:spiffe://td/a'), undefined)
    assert.equal(await problem(matchers, 'dns:x', 'dns:b.example'), undefined)
    assert.equal(await problem([exact('any', '10.0.0.1')], 'ip:10.0.0.1'), undefined)
    assert.equal(
      await problem(matchers, 'dns:reviews', 'ip:::1'),
      'certificate names none of spiffe://td/a, b.example (it has reviews, ::1)',
    )
    assert.match(String(await problem([exact('uri', 'b.example')], 'dns:b.example')), /names none/)
  })

  it('takes no certificate when nothing is expected (A20)', async () => {
    assert.match(String(await problem([], 'url:spiffe://td/a')), /names none/)
  })

  it('A21: a prefix ends where it says', async () => {
    const prefix: SubjectAltNameMatcher = {
      type: 'uri',
      matcher: { kind: 'prefix', value: 'spiffe://td/ns/a/', ignoreCase: false },
    }
    assert.equal(await problem([prefix], 'url:spiffe://td/ns/a/sa/x'), undefined)
    assert.match(String(await problem([prefix], 'url:spiffe://td/ns/ab')), /names none/)
  })

  it('A5: is not fooled by a name that holds another (CVE-2021-44532)', async () => {
    const found = await problem([exact('any', 'good.example')], 'dns:evil.example, DNS:good.example')
    assert.match(String(found), /names none of good.example/)
  })

  it('takes a DNS name in either case, as DNS does, and no other name', async () => {
    assert.equal(await problem([exact('dns', 'a.Example.com')], 'dns:A.example.com'), undefined)
    assert.equal(await problem([exact('dns', 'a.Example.com')], 'dns:*.EXAMPLE.com'), undefined)
    assert.match(String(await problem([exact('uri', 'spiffe://td/A')], 'url:spiffe://td/a')), /names none/)
  })

  it('matches a wildcard one label deep', async () => {
    assert.equal(await problem([exact('dns', 'a.example.com')], 'dns:*.example.com'), undefined)
    assert.match(String(await problem([exact('dns', 'a.b.example.com')], 'dns:*.example.com')), /names none/)
    assert.match(String(await problem([exact('dns', 'example.com')], 'dns:*.example.com')), /names none/)
  })
})
