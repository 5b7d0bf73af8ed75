import assert from 'node:assert/strict'
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

describe('SecureTransport', () => {
  it('verifies the SNI by default, the host when there is none', () => {
    const { servername, checkServerIdentity, rejectUnauthorized } = makeTransport().connectOptions('reviews')
    assert.deepEqual([servername, checkServerIdentity, rejectUnauthorized], ['reviews', undefined, true])
    assert.equal(makeTransport({ sni: 'inner' }).connectOptions('reviews').servername, 'inner')
  })

  it('A33: sends no SNI for an address', () => {
    assert.equal(makeTransport().connectOptions('10.0.0.1').servername, '')
    assert.equal(makeTransport().connectOptions('::1').servername, '')
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
    assert.equal(security.choose(undefined, auto, undefined), undefined)
    assert.notEqual(security.choose(undefined, auto, { tlsMode: 'istio' }), undefined)
  })

  it('passes over what needs an identity in a process that has none', () => {
    assert.equal(new UpstreamSecurity(systemClock).choose(undefined, auto, { tlsMode: 'istio' }), undefined)
  })

  it('A31: never falls back to plain text while its certificate is on the way', () => {
    const security = new UpstreamSecurity(systemClock, new Identities(new Map([['default', new FakeCertificateProvider()]])))
    const transport = security.choose(undefined, auto, { tlsMode: 'istio' })
    assert.throws(() => transport?.connectOptions('reviews'), { code: 'MESH_ERR_IDENTITY', message: /not there yet/ })
  })

  it('A10: does not show a certificate that has expired', async () => {
    const clock = new ManualClock(Date.now())
    const provider = new FakeCertificateProvider(await (await SvidAuthority.create()).identity('/client'))
    const security = new UpstreamSecurity(clock, new Identities(new Map([['default', provider]])))
    const transport = security.choose(undefined, auto, { tlsMode: 'istio' })
    assert.notEqual(transport?.connectOptions('reviews'), undefined)
    clock.advance(3_601_000)
    assert.throws(() => transport?.connectOptions('reviews'), { code: 'MESH_ERR_IDENTITY', message: /has expired/ })
  })
})
