import { SecureTransport, UpstreamSecurity } from '../../src/client/upstream-tls.ts'
import type { UpstreamTls } from '../../src/discovery/model/cluster.ts'
import { systemClock } from '../../src/runtime.ts'

/** Simple TLS, with what is given in place of the defaults. */
export function makeTls(tls: Partial<UpstreamTls> = {}): UpstreamTls {
  return {
    sni: '',
    autoHostSni: false,
    autoSni: false,
    certificate: undefined,
    trust: { kind: 'system' },
    subjectAltNames: [],
    autoSniSanValidation: false,
    autoSanValidation: false,
    alpnProtocols: [],
    minVersion: undefined,
    maxVersion: 'TLSv1.3',
    ...tls,
  }
}

/** The same, to connect with. */
export const makeTransport = (tls: Partial<UpstreamTls> = {}, endpointName = ''): SecureTransport =>
  new SecureTransport(makeTls(tls), new UpstreamSecurity(systemClock), endpointName)
