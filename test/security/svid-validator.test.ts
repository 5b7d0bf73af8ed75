import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/runtime.ts'
import { type PeerRole, SvidValidator, type SvidVerdict } from '../../src/security/svid-validator.ts'
import type { TrustBundles } from '../../src/security/trust-bundle.ts'
import { Extension, KeyUsageFlags, type LeafOptions, SvidAuthority } from '../support/svid-fixtures.ts'

const authority = await SvidAuthority.create('td')
const other = await SvidAuthority.create('td2')
const trusted: TrustBundles = new Map([['td', authority.bundle]])
const federated: TrustBundles = new Map([...trusted, ['td2', other.bundle]])
const wallClock = (now: number) => ({ ...systemClock, wallNow: () => now })

async function validate(
  options: LeafOptions = {},
  { signer = authority, bundles = trusted, role = 'client' as PeerRole, now = Date.now(), path = '/ns/a/sa/b' } = {},
): Promise<SvidVerdict> {
  const { certificate } = await signer.issue(path, options)
  return new SvidValidator(wallClock(now)).validate(certificate, [], bundles, role)
}

async function problem(...given: Parameters<typeof validate>): Promise<string> {
  const verdict = await validate(...given)
  return verdict.ok ? '' : verdict.problem
}

const hour = 3_600_000

describe('SvidValidator', () => {
  it('takes an SVID for what it says', async () => {
    const verdict = await validate()
    assert.ok(verdict.ok)
    assert.deepEqual(verdict.id, { text: 'spiffe://td/ns/a/sa/b', trustDomain: 'td', path: '/ns/a/sa/b' })
    assert.ok((await validate({}, { role: 'server' })).ok)
  })

  it('A1: a leaf that is an authority is refused', async () => assert.equal(await problem({ isCa: true }), 'leaf_is_ca'))

  it('A2: a leaf that may sign certificates or lists is refused', async () => {
    for (const flag of [KeyUsageFlags.keyCertSign, KeyUsageFlags.cRLSign]) {
      const usages = KeyUsageFlags.digitalSignature | flag
      assert.equal(await problem({ keyUsage: { usages, isCritical: true } }), 'leaf_signs_certificates')
    }
  })

  it('A3: two URIs are refused in either order', async () => {
    const [own, admin] = ['url:spiffe://td/ns/a/sa/b', 'url:spiffe://td/admin'] as const
    assert.equal(await problem({ names: [own, admin] }), 'several_uri_sans')
    assert.equal(await problem({ names: [admin, own] }), 'several_uri_sans')
    assert.equal(await problem({ names: [own, own] }), 'several_uri_sans')
  })

  it('A4: a SPIFFE ID in the common name is none', async () => {
    assert.equal(await problem({ names: [], subject: 'CN=spiffe://td/admin' }), 'no_uri_san')
    assert.equal(await problem({ names: ['dns:a'], subject: 'CN=spiffe://td/admin' }), 'no_uri_san')
  })

  it('A5: names of other kinds that hold a URI are none, and neither is what is no text', async () => {
    assert.equal(await problem({ names: ['dns:a, URI:spiffe://td/admin'] }), 'no_uri_san')
    assert.equal(await problem({ names: ['email:URI:spiffe://td/admin'] }), 'no_uri_san')
    assert.equal(await problem({ names: ['url:spiffe://td/a\0b'] }), 'malformed')
    assert.equal(await problem({ names: ['url:spiffe://td/a,URI:spiffe://td/b'] }), 'bad_spiffe_id')
  })

  it('A6: what is no SPIFFE ID is refused, and one without a path', async () => {
    for (const id of ['https://td/a', 'spiffe://TD/a', 'spiffe://td/%61', 'spiffe://td/a?b', 'spiffe://td/a/'])
      assert.equal(await problem({ names: [`url:${id}`] }), 'bad_spiffe_id', id)
    assert.equal(await problem({ names: ['url:spiffe://td'] }), 'no_path')
  })

  it('A7: an extended key usage for the other side is refused', async () => {
    const [server, client] = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']
    assert.equal(await problem({ extendedKeyUsage: [String(server)] }, { role: 'client' }), 'wrong_extended_key_usage')
    assert.equal(await problem({ extendedKeyUsage: [String(client)] }, { role: 'server' }), 'wrong_extended_key_usage')
    assert.equal(await problem({ extendedKeyUsage: [String(client)] }, { role: 'client' }), '')
  })

  it('A8: no extended key usage is accepted', async () => assert.equal(await problem({ extendedKeyUsage: null }), ''))

  it('A9: a key that may not sign is refused, and key usage must be there and critical', async () => {
    const { keyEncipherment, digitalSignature } = KeyUsageFlags
    assert.equal(await problem({ keyUsage: { usages: keyEncipherment, isCritical: true } }), 'no_digital_signature')
    assert.equal(await problem({ keyUsage: { usages: digitalSignature, isCritical: false } }), 'key_usage_not_critical')
    assert.equal(await problem({ keyUsage: null }), 'no_key_usage')
  })

  it('A10: what has ended or not begun is refused, with a minute for clocks that differ', async () => {
    const at = Date.parse('2026-01-01T00:00:00Z')
    const signer = await SvidAuthority.create('td', { notBefore: new Date(at - 10 * hour), notAfter: new Date(at + 10 * hour) })
    const bundles: TrustBundles = new Map([['td', signer.bundle]])
    const leaf = { notBefore: new Date(at), notAfter: new Date(at + hour) }
    const found = (now: number) => problem(leaf, { signer, bundles, now })
    assert.equal(await found(at - 61_000), 'not_yet_valid')
    assert.equal(await found(at - 59_000), '')
    assert.equal(await found(at + hour + 59_000), '')
    assert.equal(await found(at + hour + 61_000), 'expired')
  })

  it('A10: an authority that has ended signs for nobody', async () => {
    const past = { notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() - hour) }
    const signer = await SvidAuthority.create('td', past)
    assert.equal(await problem({}, { signer, bundles: new Map([['td', signer.bundle]]) }), 'untrusted_issuer')
  })

  it('A12: without a bundle of its trust domain nobody is trusted, whoever else is', async () => {
    assert.equal(await problem({}, { signer: other }), 'untrusted_domain')
  })

  it('A13: a chain that TLS has verified and that is not shown is good for one domain, and not among several', async () => {
    const { certificate } = await (await SvidAuthority.create('td')).issue('/a')
    const verdictWith = (bundles: TrustBundles) =>
      new SvidValidator(systemClock).validate(certificate, [], bundles, 'client', true)
    assert.ok(verdictWith(trusted).ok)
    const among = verdictWith(federated)
    assert.ok(!among.ok)
    assert.equal(among.problem, 'untrusted_issuer')
    assert.match(among.detail, /Node shows no certificate between them$/)
  })

  it('A13: an authority does not vouch for another trust domain, though both are trusted', async () => {
    const names = ['url:spiffe://td/ns/a/sa/b'] as const
    assert.equal(await problem({ names }, { signer: other, bundles: federated }), 'untrusted_issuer')
    assert.equal(await problem({}, { signer: other, bundles: federated }), '')
  })

  it('A15: an empty bundle trusts nobody', async () => {
    const empty: TrustBundles = new Map([['td', { trustDomain: 'td', authorities: [], sequence: undefined }]])
    assert.equal(await problem({}, { bundles: empty }), 'untrusted_domain')
  })

  it('A16: with the old and the new authority both count', async () => {
    const next = await SvidAuthority.create('td')
    const authorities = [authority.root, next.root]
    const bundles: TrustBundles = new Map([['td', { trustDomain: 'td', authorities, sequence: undefined }]])
    assert.equal(await problem({}, { bundles }), '')
    assert.equal(await problem({}, { signer: next, bundles }), '')
    assert.equal(await problem({}, { signer: next }), 'untrusted_issuer')
  })

  it('an empty subject makes critical names necessary', async () => {
    assert.equal(await problem({ subject: '' }), 'san_not_critical')
    assert.equal(await problem({ subject: '', isSanCritical: true }), '')
  })

  it('a critical extension that nobody knows is refused', async () => {
    const more = [new Extension('1.2.3.4', true, new Uint8Array([5, 0]))]
    assert.equal(await problem({ more }), 'unknown_critical_extension')
    assert.equal(await problem({ more: [new Extension('1.2.3.4', false, new Uint8Array([5, 0]))] }), '')
  })
})
