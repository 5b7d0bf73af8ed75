import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadCertificateRequestError, requestedPublicKey } from '../../src/ca/certificate-request.ts'
import * as x509 from '../../src/ca/x509.ts'
import { certificateRequest, issueRequest, openAuthority, reviews } from '../support/certificates.ts'

const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
})
const pem = (der: Buffer, tag = 'CERTIFICATE REQUEST') => x509.PemConverter.encode(der, tag)

test('keys on P-256 and P-384, of Ed25519 and of RSA with 2048 bits are taken', async () => {
  for (const algorithm of [
    { name: 'ECDSA', namedCurve: 'P-256' },
    { name: 'ECDSA', namedCurve: 'P-384' },
    { name: 'Ed25519' },
    rsa(2048),
  ]) {
    const { csr, publicKey } = await certificateRequest({ algorithm })
    assert.deepEqual(await requestedPublicKey(csr), publicKey)
  }
})

test('G3: weak keys and other curves are refused', async () => {
  for (const algorithm of [rsa(1024), { name: 'ECDSA', namedCurve: 'P-521' }]) {
    const { csr } = await certificateRequest({ algorithm })
    await assert.rejects(requestedPublicKey(csr), /not accepted|is not one of/)
  }
})

test('G3: a request that its own key did not sign is refused', async () => {
  const { der } = await certificateRequest()
  const forged = Buffer.from(der)
  const at = forged.length - 5
  forged.writeUInt8(forged.readUInt8(at) ^ 1, at)
  await assert.rejects(requestedPublicKey(pem(forged)), /not signed with its own key/)
})

test('G3: names and extensions that the request asks for are not in the certificate', async () => {
  const { csr } = await certificateRequest({
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://mesh.test/ns/default/sa/admin' },
        { type: 'dns', value: '*.mesh.test' },
      ]),
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.codeSigning]),
    ],
  })
  const { authority } = await openAuthority()
  const { certificate } = await authority.issue(issueRequest({ publicKey: await requestedPublicKey(csr) }))
  const leaf = new x509.X509Certificate(certificate)
  assert.deepEqual(leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON(), [{ type: 'url', value: reviews }])
  assert.equal(leaf.getExtension(x509.BasicConstraintsExtension)?.ca, false)
  assert.equal(leaf.getExtension(x509.KeyUsagesExtension)?.usages, x509.KeyUsageFlags.digitalSignature)
  assert.ok(!leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages.includes(x509.ExtendedKeyUsage.codeSigning))
  assert.equal(leaf.subject, '')
})

test('what is no request is refused without saying what it was', async () => {
  const { csr, der } = await certificateRequest()
  const texts = ['', 'secret', pem(Buffer.from('secret')), pem(der, 'CERTIFICATE'), `${csr}\n${csr}`, csr.slice(0, 200)]
  for (const text of texts) {
    await assert.rejects(requestedPublicKey(text), error => {
      assert.ok(error instanceof BadCertificateRequestError)
      assert.ok(!error.message.includes('secret'))
      return true
    })
  }
  await assert.rejects(requestedPublicKey(csr + ' '.repeat(20_000)), /too long/)
})
