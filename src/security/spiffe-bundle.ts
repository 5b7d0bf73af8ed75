import { X509Certificate } from 'node:crypto'
import { parseSpiffeId } from './spiffe-id.ts'
import type { TrustBundle } from './trust-bundle.ts'

/** `kty` of what Node can check signatures of: RFC 7518 section 6.1 and RFC 8037 section 2. */
const keyTypes: ReadonlySet<unknown> = new Set(['EC', 'RSA', 'OKP'])

/**
 * Reads a SPIFFE bundle (SPIFFE Trust Domain and Bundle, section 4): a JWK set whose keys of `use` `x509-svid` are authorities. Keys of other
 * uses and kinds are passed over. A bundle without keys is one: nobody of the domain is trusted.
 *
 * @param document parsed JSON
 * @throws Error saying what is wrong
 */
export function parseSpiffeBundle(trustDomain: string, document: unknown): TrustBundle {
  if (!isObject(document)) throw new Error(`the bundle of ${trustDomain} must be an object`)
  const { keys, spiffe_sequence: sequence } = document
  if (!Array.isArray(keys)) throw new Error(`the bundle of ${trustDomain} must have a list of keys`)
  const authorities = keys.flatMap((key, index) => authorityOf(key, `the bundle of ${trustDomain}: keys[${index}]`))
  return { trustDomain, authorities, sequence: typeof sequence === 'number' ? BigInt(Math.trunc(sequence)) : undefined }
}

/**
 * Reads a map of bundles (gRFC A87): `{"trust_domains": {"example.org": {"keys": [...]}}}`.
 *
 * @throws Error saying what is wrong, also with a trust domain that is there twice
 */
export function parseSpiffeBundleMap(text: string): readonly TrustBundle[] {
  const document: unknown = JSON.parse(text)
  if (!isObject(document) || !isObject(document.trust_domains)) throw new Error('a bundle map must have "trust_domains"')
  const domains = Object.entries(document.trust_domains)
  refuseDuplicates(
    text,
    domains.map(([name]) => name),
  )
  return domains.map(([name, bundle]) => {
    const id = parseSpiffeId(`spiffe://${name}`)
    if ('problem' in id) throw new Error(`${JSON.stringify(name)} is no trust domain: it ${id.problem}`)
    if (id.path !== '') throw new Error(`${JSON.stringify(name)} is no trust domain: it has a path`)
    return parseSpiffeBundle(name, bundle)
  })
}

function authorityOf(key: unknown, path: string): X509Certificate[] {
  if (!isObject(key)) throw new Error(`${path} must be an object`)
  const { use, kty, x5c } = key
  if (use !== 'x509-svid' || !keyTypes.has(kty)) return []
  const [certificate, ...more] = Array.isArray(x5c) ? x5c : []
  if (typeof certificate !== 'string' || more.length > 0) throw new Error(`${path}.x5c must have one certificate`)
  const authority = new X509Certificate(Buffer.from(certificate, 'base64'))
  if (!authority.ca) throw new Error(`${path}.x5c is no authority`)
  return [authority]
}

/** JSON readers keep the last of two equal keys, which may not be the one that the writer saw. */
function refuseDuplicates(text: string, names: readonly string[]): void {
  for (const name of names) {
    const quoted = JSON.stringify(name).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    const found = text.match(new RegExp(`${quoted}\\s*:\\s*\\{`, 'g'))?.length ?? 0
    if (found > 1) throw new Error(`the trust domain ${name} is there twice`)
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
