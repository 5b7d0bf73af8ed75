/** The parts of a SPIFFE ID. */
export interface SpiffeId {
  readonly trustDomain: string
  /** With its leading slash; empty for the ID of a trust domain itself. */
  readonly path: string
}

const maxBytes = 2048

/** Whether `text` names a trust domain: lower-case letters, digits, dots, dashes and underscores, at most 255 (SPIFFE ID 2.1). */
export function isTrustDomain(text: string): boolean {
  return /^[a-z0-9._-]{1,255}$/.test(text)
}

/** Reads a SPIFFE ID in its canonical form; `undefined` for anything else (SPIFFE ID 2). */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxBytes) return undefined
  const [, trustDomain = '', path = ''] = /^spiffe:\/\/([^/]*)((?:\/[A-Za-z0-9._-]+)*)$/.exec(text) ?? []
  if (!isTrustDomain(trustDomain)) return undefined
  if (path.split('/').some(segment => segment === '.' || segment === '..')) return undefined
  return { trustDomain, path }
}

/** `spiffe://TD/ns/NAMESPACE/sa/SERVICE-ACCOUNT`, the identity of a service as Istio writes it; `undefined` when a name does not fit. */
export function serviceIdentity(trustDomain: string, namespace: string, serviceAccount: string): string | undefined {
  const text = `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
  return isServiceIdentity(text, trustDomain) ? text : undefined
}

/** Whether `text` is `spiffe://TD/ns/NAMESPACE/sa/SERVICE-ACCOUNT` of the given trust domain. */
export function isServiceIdentity(text: string, trustDomain: string): boolean {
  const id = parseSpiffeId(text)
  return id?.trustDomain === trustDomain && /^\/ns\/[^/]+\/sa\/[^/]+$/.test(id.path)
}
