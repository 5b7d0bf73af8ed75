import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import { UpstreamSecurity } from '../../src/client/upstream-tls.ts'
import type { TransportSocketMatch } from '../../src/discovery/model/cluster.ts'
import { systemClock } from '../../src/runtime.ts'
import { Identities } from '../../src/security/identities.ts'
import { FakeCertificateProvider } from '../support/fake-certificate-provider.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeCertificate, SvidAuthority } from '../support/svid-fixtures.ts'
import { makeTls, makeTransport } from '../support/tls-model.ts'

const meshTls = makeTls({
  certificate: { kind: 'provider', instance: 'default' },
  trust: { kind: 'provider', instance: 'default' },
})
const auto: readonly TransportSocketMatch[] = [
  { criteria: { tlsMode: 'istio' }, tls: meshTls },
  { criteria: {}, tls: undefined },
]

const plainEndpoint = { hostname: '', transportSocketMatch: undefined }
const meshEndpoint = { hostname: '', transportSocketMatch: { tlsMode: 'istio' } }
const exact = (value: string) => ({ kind: 'exact' as const, value, ignoreCase: false })
const peerOf = async (...names: Parameters<typeof makeCertificate>[0]) => {
  const raw = await makeCertificate(names)
  return new X509Certificate(raw).toLegacyObject()
}

describe('SecureTransport', () => {
  it('sends the SNI that is configured, and else none (A101)', async () => {
    const named = makeTransport({ sni: 'inner' }).connectOptions('reviews')
    assert.deepEqual([named.servername, named.checkServerIdentity, named.rejectUnauthorized], ['inner', undefined, true])
    const { servername, checkServerIdentity, rejectUnauthorized } = makeTransport().connectOptions('reviews')
    assert.deepEqual([servername, rejectUnauthorized], ['', true])
    assert.equal(checkServerIdentity?.('10.0.0.1', await peerOf('dns:reviews')), undefined)
    assert.match(String(checkServerIdentity?.('10.0.0.1', await peerOf('ip:10.0.0.1'))), /Host: reviews/)
  })

  it('the hostname of the endpoint goes before the configured SNI, and the called name before both (A101, auto_sni)', () => {
    const sniOf = (tls: Parameters<typeof makeTransport>[0], endpointName: string) =>
      makeTransport(tls, endpointName).connectOptions('reviews').servername
    assert.equal(sniOf({ sni: 'inner', autoHostSni: true }, 'pod-1'), 'pod-1')
    assert.equal(sniOf({ sni: 'inner', autoHostSni: true }, ''), 'inner')
    assert.equal(sniOf({ autoHostSni: true }, ''), '')
    assert.equal(sniOf({ sni: 'inner' }, 'pod-1'), 'inner')
    assert.equal(sniOf({ sni: 'inner', autoHostSni: true, autoSni: true }, 'pod-1'), 'reviews')
  })

  it('verifies a DNS name against the SNI that was sent, in place of the names (A101)', async () => {
    const subjectAltNames = [{ type: 'dns' as const, matcher: exact('other') }]
    const check = (tls: Parameters<typeof makeTransport>[0]) =>
      makeTransport({ subjectAltNames, autoSniSanValidation: true, ...tls }, 'pod-1.a.com').connectOptions('reviews')
        .checkServerIdentity
    const byHost = check({ autoHostSni: true })
    assert.equal(byHost?.('', await peerOf('dns:POD-1.a.com')), undefined)
    assert.equal(byHost?.('', await peerOf('dns:*.a.com')), undefined)
    assert.match(String(byHost?.('', await peerOf('dns:other'))), /names none of pod-1.a.com/)
    assert.match(String(byHost?.('', await peerOf('url:pod-1.a.com'))), /names none of pod-1.a.com/)
    assert.equal(check({ sni: 'inner' })?.('', await peerOf('dns:inner')), undefined)
    // Where no SNI was sent there is nothing to compare with.
    assert.equal(check({})?.('', await peerOf('dns:other')), undefined)
    assert.match(String(check({ sni: '10.0.0.1' })?.('', await peerOf('ip:10.0.0.1'))), /names none of other/)
  })

  it('verifies the called name in place of all others (auto_san_validation)', async () => {
    const subjectAltNames = [{ type: 'dns' as const, matcher: exact('other') }]
    const tls = { subjectAltNames, sni: 'inner', autoSniSanValidation: true, autoSanValidation: true }
    const { checkServerIdentity } = makeTransport(tls).connectOptions('reviews')
    assert.equal(checkServerIdentity?.('', await peerOf('dns:reviews')), undefined)
    assert.match(String(checkServerIdentity?.('', await peerOf('dns:other', 'dns:inner'))), /names none of reviews/)
  })

  it('A33: sends no SNI for an address, and verifies the address', async () => {
    for (const address of ['10.0.0.1', '::1']) {
      const { servername, checkServerIdentity } = makeTransport({ autoSni: true }).connectOptions(address)
      assert.equal(servername, '')
      assert.equal(checkServerIdentity?.('10.9.9.9', await peerOf(`ip:${address}`)), undefined)
      assert.match(String(checkServerIdentity?.('10.9.9.9', await peerOf('ip:10.9.9.9'))), /is not in the cert's list/)
    }
  })

  it('asks for one of the given names instead', async () => {
    const names = [{ type: 'uri' as const, matcher: { kind: 'exact' as const, value: 'spiffe://td/a', ignoreCase: false } }]
    const { checkServerIdentity } = makeTransport({ subjectAltNames: names }).connectOptions('reviews')
    const peer = async (name: `url:${string}` | `dns:${string}`) => ({ raw: await makeCertificate([name]) }) as never
    assert.equal(checkServerIdentity?.('reviews', await peer('url:spiffe://td/a')), undefined)
    assert.match(String(checkServerIdentity?.('reviews', await peer('dns:reviews'))), /names none of spiffe:/)
  })

  it('never throws in the check of a peer, whatever it shows', () => {
    const names = [{ type: 'uri' as const, matcher: { kind: 'exact' as const, value: 'a', ignoreCase: false } }]
    const { checkServerIdentity } = makeTransport({ subjectAltNames: names }).connectOptions('reviews')
    assert.match(String(checkServerIdentity?.('reviews', { raw: Buffer.from('none') } as never)), /cannot be read/)
    assert.match(String(checkServerIdentity?.('reviews', {} as never)), /Error/)
  })
})

describe('UpstreamSecurity', () => {
  it('leaves plain text to endpoints that do not ask for TLS', () => {
    const security = new UpstreamSecurity(systemClock, new Identities(new Map([['default', new FakeCertificateProvider()]])))
    assert.equal(security.choose(undefined, auto, plainEndpoint), undefined)
    assert.notEqual(security.choose(undefined, auto, meshEndpoint), undefined)
  })

  it('passes over what needs an identity in a process that has none', () => {
    assert.equal(new UpstreamSecurity(systemClock).choose(undefined, auto, meshEndpoint), undefined)
  })

  it('A31: never falls back to plain text while its certificate is on the way', () => {
    const security = new UpstreamSecurity(systemClock, new Identities(new Map([['default', new FakeCertificateProvider()]])))
    const transport = security.choose(undefined, auto, meshEndpoint)
    assert.throws(() => transport?.connectOptions('reviews'), { code: 'MESH_ERR_IDENTITY', message: /not there yet/ })
  })

  it('A10: does not show a certificate that has expired', async () => {
    const clock = new ManualClock(Date.now())
    const provider = new FakeCertificateProvider(await (await SvidAuthority.create()).identity('/client'))
    const security = new UpstreamSecurity(clock, new Identities(new Map([['default', provider]])))
    const transport = security.choose(undefined, auto, meshEndpoint)
    assert.notEqual(transport?.connectOptions('reviews'), undefined)
    clock.advance(3_601_000)
    assert.throws(() => transport?.connectOptions('reviews'), { code: 'MESH_ERR_IDENTITY', message: /has expired/ })
  })
})
