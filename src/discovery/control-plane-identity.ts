import type { PeerCertificate } from 'node:tls'
import { readExtensions } from '../security/certificate-extensions.ts'

/** Where a control plane's own certificate says that it is one. */
const controlPlanePath = '/ns/inmesh-system/sa/control-plane'

/** Checks the name in a certificate whose chain is good; it must not throw. */
export function isControlPlaneOf(
  trustDomain: string | undefined,
): (hostname: string, certificate: PeerCertificate) => Error | undefined {
  return (_hostname, { raw }) => {
    try {
      const uris = readExtensions(raw).subjectAltNames?.uris ?? []
      const [uri = ''] = uris
      const isRight =
        uris.length === 1 &&
        (trustDomain === undefined
          ? /^spiffe:\/\/[^/]+\//.test(uri) && uri.endsWith(controlPlanePath) && uri.split('/').length === 7
          : uri === `spiffe://${trustDomain}${controlPlanePath}`)
      return isRight ? undefined : new Error(`its certificate is for ${uri || 'nobody'}, not for a control plane`)
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }
}
