import { issuer } from './tokens.ts'

/** What a request is answered; `refused`: its connection. */
export type Verdict = number | 'refused'

/** What both give, or each where they differ on purpose. */
export type Expected = Verdict | { readonly istio: Verdict; readonly inmesh: Verdict; readonly because: string }

/** Documents, and what becomes of requests under them. */
export interface AuthorizationCase {
  readonly name: string
  /** `PORT` is where the workload listens, `JWKS` the keys of the tokens' issuer. */
  readonly yaml: string
  /** Verdict by request: see `parseCall`. */
  readonly asks: Readonly<Record<string, Expected>>
}

/** Who is judged. */
export const workload = {
  trustDomain: 'cluster.local',
  namespace: 'default',
  service: 'httpbin',
  labels: { app: 'httpbin', version: 'v1' },
}

/** Paths of the SPIFFE IDs of who asks. */
export const callers = {
  web: '/ns/shop/sa/web',
  batch: '/ns/shop/sa/batch',
  other: '/ns/other/sa/web',
  near: '/ns/default/sa/client',
}

const denied = 403

const object = (kind: string, meta: string, spec: string) => `
---
apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { ${meta} }
spec: ${spec}
`
let names = 0
/** An AuthorizationPolicy. */
export const policy = (spec: string, meta = 'namespace: default') =>
  object('AuthorizationPolicy', `name: p${names++}, ${meta}`, spec)
/** One that allows what one of the rules matches. */
export const allow = (...rules: readonly string[]) => policy(`{ rules: [${rules.join(', ')}] }`)
/** One that denies it. */
export const deny = (...rules: readonly string[]) => policy(`{ action: DENY, rules: [${rules.join(', ')}] }`)
/** A rule of one source. */
export const source = (text: string) => `{ from: [{ source: { ${text} } }] }`
/** A rule of one operation. */
export const operation = (text: string) => `{ to: [{ operation: { ${text} } }] }`
/** A rule of one condition. */
export const when = (key: string, values: string) => `{ when: [{ key: '${key}', ${values} }] }`
/** A PeerAuthentication. */
export const peers = (spec: string, meta = 'namespace: default') =>
  object('PeerAuthentication', `name: a${names++}, ${meta}`, spec)
/** A RequestAuthentication of the one issuer. */
export const tokens = (more = '') =>
  object(
    'RequestAuthentication',
    `name: r${names++}, namespace: default`,
    `{ jwtRules: [{ issuer: '${issuer}', jwks: 'JWKS'${more} }] }`,
  )

/** The metadata of what is for the whole mesh. */
export const root = 'namespace: istio-system'
/** One verdict of several requests. */
export const both = (verdict: Verdict, ...requests: readonly string[]) =>
  Object.fromEntries(requests.map(request => [request, verdict] as const))
/** Served by both. */
export const ok = (...requests: readonly string[]) => both(200, ...requests)
/** Denied by both. */
export const no = (...requests: readonly string[]) => both(denied, ...requests)
/** Where ours is the stricter. */
export const stricter = (because: string, inmesh: Verdict, ...requests: readonly string[]) =>
  Object.fromEntries(requests.map(request => [request, { istio: 200, inmesh, because }] as const))
