import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { BadPeerCertificateError, peerIdentity } from '../../src/ca/peer-certificate.ts'
import { SigningRoot } from '../../src/ca/signing-root.ts'
import * as x509 from '../../src/ca/x509.ts'
import { certificateRequest, dayMs, reviews, trustDomain } from '../support/certificates.ts'

const nowMs = Date.now()
const usage = x509.KeyUsageFlags
const leafUsage = new x509.KeyUsagesExtension(usage.digitalSignature, true)
const url = (value: string) => ({ type: 'url' as const, value })

async function start() {
  const root = await SigningRoot.create(trustDomain, nowMs, dayMs)
  const { publicKey } = await certificateRequest()
  const sign = async (names: x509.JsonGeneralNames, extensions: x509.Extension[] = [leafUsage], subject = '') => {
    const certificate = await root.sign({
      subject,
      publicKey: new x509.PublicKey(Uint8Array.from(publicKey)),
      notBefore: new Date(nowMs - 1000),
      notAfter: new Date(nowMs + 60_000),
      extensions: [new x509.SubjectAlternativeNameExtension(names, true), ...extensions],
    })
    return new X509Certificate(Buffer.from(certificate.rawData))
  }
  const bundle = { trustDomain, version: 1, roots: [root.certificatePem] }
  const read = (certificate: X509Certificate, atMs = nowMs) => peerIdentity(certificate, bundle, atMs)
  return { sign, read, bundle }
}

test('a leaf of the trust domain names its holder', async () => {
  const { sign, read } = await start()
  const { spiffeId, notAfterMs } = read(await sign([url(reviews), { type: 'dns', value: 'reviews' }]))
  assert.equal(spiffeId, reviews)
  assert.equal(notAfterMs, Math.floor((nowMs + 60_000) / 1000) * 1000)
})

test('A1, A2, A7, A9: an authority, one that may sign, one without digitalSignature and one not for clients are refused', async () => {
  const { sign, read } = await start()
  for (const extensions of [
    [leafUsage, new x509.BasicConstraintsExtension(true, undefined, true)],
    [new x509.KeyUsagesExtension(usage.digitalSignature | usage.keyCertSign, true)],
    [new x509.KeyUsagesExtension(usage.digitalSignature | usage.cRLSign, true)],
    [new x509.KeyUsagesExtension(usage.keyEncipherment, true)],
    [],
    [leafUsage, new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])],
  ]) {
    const certificate = await sign([url(reviews)], extensions)
    assert.throws(() => read(certificate), BadPeerCertificateError)
  }
})

test('A3 to A6: two URI SANs, none, a foreign one and one out of form are refused', async () => {
  const { sign, read } = await start()
  for (const names of [
    [url(reviews), url('spiffe://mesh.test/ns/default/sa/admin')],
    [url('spiffe://mesh.test/ns/default/sa/admin'), url(reviews)],
    [{ type: 'dns' as const, value: `URI:${reviews}` }],
    [url('spiffe://other.test/ns/default/sa/reviews')],
    [url('spiffe://mesh.test')],
    [url('https://mesh.test/x')],
    [url(`${reviews}/`)],
    [url(`${reviews}?x`)],
  ]) {
    const certificate = await sign(names, [leafUsage], `CN=${reviews}`)
    assert.throws(() => read(certificate), BadPeerCertificateError, JSON.stringify(names))
  }
})

test('A10: a certificate counts from its first second to its last', async () => {
  const { sign, read } = await start()
  const certificate = await sign([url(reviews)])
  const first = certificate.validFromDate.getTime()
  const last = certificate.validToDate.getTime()
  read(certificate, first)
  read(certificate, last - 1)
  assert.throws(() => read(certificate, first - 1), /not valid now/)
  assert.throws(() => read(certificate, last), /not valid now/)
})

test('A15, A17: under a root that is not, or no longer, in the bundle it does not count', async () => {
  const { sign, bundle } = await start()
  const certificate = await sign([url(reviews)])
  const other = await SigningRoot.create(trustDomain, nowMs, dayMs)
  for (const roots of [[], [other.certificatePem]])
    assert.throws(() => peerIdentity(certificate, { ...bundle, roots }, nowMs), /under none of the roots/)
})
