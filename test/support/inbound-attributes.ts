import type { InboundAttributes, InboundPeer, JwtClaims } from '../../src/policies/rbac/inbound-attributes.ts'

/** The one name of the peer, `undefined` without certificate; or more about it. */
type Peer = Partial<InboundPeer> & { readonly principal?: string | undefined }

/** An inbound request; `GET /` of `shop`'s web from 10.0.0.1 unless said otherwise. */
export function inbound({
  peer: { principal, ...peer } = { principal: 'spiffe://cluster.local/ns/shop/sa/web' },
  ...more
}: Partial<Omit<InboundAttributes, 'peer'>> & { readonly peer?: Peer } = {}): InboundAttributes {
  const principals = principal === undefined ? [] : [principal]
  return {
    method: 'GET',
    path: '/',
    query: '',
    authority: 'reviews',
    headers: [],
    destination: { address: '10.0.0.2', port: 8080 },
    requestedServerName: '',
    claims: undefined,
    ...more,
    peer: {
      isSecure: principal !== undefined,
      principals,
      names: peer.principals ?? principals,
      address: '10.0.0.1',
      port: 40_000,
      ...peer,
    },
  }
}

/** What is left of a verified token. */
export function claimsOf(raw: Readonly<Record<string, unknown>>): JwtClaims {
  const { iss, sub, aud } = raw
  const list = Array.isArray(aud) ? aud : [aud]
  return { issuer: String(iss ?? ''), subject: String(sub ?? ''), audience: list.filter(each => typeof each === 'string'), raw }
}
