import type { SecureEndpoint } from '../../control-plane/src/ca/secure-endpoint.ts'
import { AuthoritySigner } from '../../src/discovery/authority-signer.ts'
import { makeCertificateRequest } from '../../src/security/certificate-request.ts'
import { parseJoinToken } from '../../src/security/join-token.ts'

/** What a workload that is not ours is given, in PEM. */
export interface WorkloadCertificate {
  readonly certificateChain: string
  readonly privateKey: string
  readonly roots: string
}

/** The authority of a running control plane. */
export type Authority = Pick<SecureEndpoint, 'address' | 'authority' | 'tokens'>

/** A certificate of our authority for `spiffeId`, got as a workload gets it: by a join token. */
export async function certificateFor({ address, authority, tokens }: Authority, spiffeId: string): Promise<WorkloadCertificate> {
  const token = parseJoinToken((await tokens.create(spiffeId, authority.pin)).bearer)
  if (token === undefined) throw new Error('the authority made no token')
  const signer = new AuthoritySigner({ target: address, credentials: { kind: 'join-token', token } })
  const { privateKey, csr } = await makeCertificateRequest()
  const { chain, roots } = await signer.sign(csr, undefined, AbortSignal.timeout(10_000))
  return {
    certificateChain: chain.join('\n'),
    privateKey: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    roots: roots.join('\n'),
  }
}
