import { randomSerial } from './certificate-fields.ts'
import type { SigningRoot } from './signing-root.ts'
import * as x509 from './x509.ts'

/** What a leaf says. */
export interface LeafFields {
  readonly spiffeId: string
  /** SPKI, DER. */
  readonly publicKey: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Names that clients without SPIFFE check; for the control plane's own certificate only. */
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
}

/** A signed leaf. */
export interface LeafCertificate {
  readonly pem: string
  readonly serial: string
}

/**
 * Signs an X.509-SVID (X509-SVID 2 to 4): one URI SAN, critical since the subject is empty; key usage critical with digitalSignature
 * alone; server and client authentication; no authority.
 */
export async function signLeaf(root: SigningRoot, fields: LeafFields): Promise<LeafCertificate> {
  const serial = randomSerial()
  const publicKey = new x509.PublicKey(Uint8Array.from(fields.publicKey))
  const names: x509.JsonGeneralNames = [
    { type: 'url', value: fields.spiffeId },
    ...(fields.dnsNames ?? []).map(value => ({ type: 'dns' as const, value })),
    ...(fields.ipAddresses ?? []).map(value => ({ type: 'ip' as const, value })),
  ]
  const certificate = await root.sign({
    serialNumber: serial,
    subject: '',
    notBefore: new Date(fields.notBeforeMs),
    notAfter: new Date(fields.notAfterMs),
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(names, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(new x509.X509Certificate(root.certificatePem).publicKey),
    ],
  })
  return { pem: certificate.toString('pem'), serial }
}
