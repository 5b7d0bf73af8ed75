import { KeyObject } from 'node:crypto'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A new key, and a request for a certificate for it. */
export interface CertificateRequest {
  readonly privateKey: KeyObject
  /** PKCS#10, PEM. It names nobody: who it is for, the authority knows from how it was asked. */
  readonly csr: string
}

/** Makes a P-256 key and a request that is signed with it. */
export async function makeCertificateRequest(): Promise<CertificateRequest> {
  // Loaded only by processes that ask an authority; @peculiar/x509 wants the first one to be there.
  await import('reflect-metadata')
  const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509')
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm })
  return { privateKey: KeyObject.from(keys.privateKey), csr: request.toString('pem') }
}
