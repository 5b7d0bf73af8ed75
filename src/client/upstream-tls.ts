import type { PeerCertificate } from 'node:tls'
import type { UpstreamTls } from '../discovery/model/cluster.ts'

/** The part of Node's TLS options that {@link tlsConnectOptions} sets. */
export interface TlsConnectOptions {
  readonly servername: string
  readonly ca?: string
  readonly checkServerIdentity?: (hostname: string, certificate: PeerCertificate) => Error | undefined
}

/**
 * Node's TLS options for an upstream. The peer is always verified: against the given roots, and for one of the given names, or
 * for the SNI when there are none.
 *
 * @param hostname the logical host name, the SNI when the cluster names none
 */
export function tlsConnectOptions(tls: UpstreamTls, hostname: string): TlsConnectOptions {
  const servername = tls.sni === '' ? hostname : tls.sni
  const { trustedCa, subjectAltNames } = tls
  return {
    servername,
    ...(trustedCa === undefined ? undefined : { ca: trustedCa }),
    ...(subjectAltNames.length === 0
      ? undefined
      : { checkServerIdentity: (_hostname: string, certificate: PeerCertificate) => checkNames(certificate, subjectAltNames) }),
  }
}

function checkNames(certificate: PeerCertificate, expected: readonly string[]): Error | undefined {
  const found = subjectAltNamesOf(certificate.subjectaltname ?? '')
  if (found.some(name => expected.includes(name))) return undefined
  return new Error(`certificate names none of ${expected.join(', ')} (it has ${found.join(', ') || 'no DNS or URI name'})`)
}

/**
 * The DNS names and URIs in Node's text form of a subjectAltName extension. Values with a comma or quote are JSON strings in it, so that a
 * name cannot smuggle in another (CVE-2021-44532).
 */
export function subjectAltNamesOf(text: string): readonly string[] {
  const names: string[] = []
  const entry = /(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)/gy
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    const [, kind, value = ''] = match
    if (kind !== 'DNS' && kind !== 'URI') continue
    names.push(value.startsWith('"') ? String(JSON.parse(value)) : value)
  }
  return names
}
