import { SecureTransport, UpstreamSecurity } from '../../src/client/upstream-tls.ts'
import type { UpstreamTls } from '../../src/discovery/model/cluster.ts'
import { systemClock } from '../../src/runtime.ts'

/** Simple TLS, with what is given in place of the defaults. */
export function makeTls(tls: Partial<UpstreamTls> = {}): UpstreamTls {
  return {
    sni: '',
    certificate: undefined,
    trust: { kind: 'system' },
    subjectAltNames: [],
    alpnProtocols: [],
    minVersion: undefined,
    maxVersion: 'TLSv1.3',
    ...tls,
  }
}

/** The same, to connect with. */
export const makeTransport = (tls: Partial<UpstreamTls> = {}): SecureTransport =>
  new SecureTransport(makeTls(tls), new UpstreamSecurity(systemClock))
