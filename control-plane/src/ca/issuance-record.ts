import type { IssuedCertificate } from './certificate-authority.ts'

/** How a caller proved who it is. */
export type AuthenticationMethod = 'join_token' | 'service_account' | 'client_certificate' | 'self' | 'sds'

/** Who a certificate was issued for, and on what proof. */
export interface Requester {
  readonly method: AuthenticationMethod
  /** `address:port`. */
  readonly peer: string
}

/** One line of the audit log. Names everything that identifies a certificate, and no key. */
export function issuanceRecord(certificate: IssuedCertificate, requester: Requester, nowMs: number): string {
  return JSON.stringify({
    time: new Date(nowMs).toISOString(),
    spiffeId: certificate.spiffeId,
    serial: certificate.serial,
    notAfter: new Date(certificate.notAfterMs).toISOString(),
    method: requester.method,
    peer: requester.peer,
  })
}
