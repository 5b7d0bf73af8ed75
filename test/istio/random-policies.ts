import { seededRandom } from '../support/seeded-random.ts'
import { workload } from './authorization-case.ts'
import { issuer } from './tokens.ts'

const addresses = ['127.0.0.1', '127.0.0.0/8', '127.0.0.2/32', '10.0.0.0/8', '0.0.0.0/0', '::/0', '::1']
const methods = ['GET', 'POST', 'P*', '*T', '*', 'get', 'OPTIONS']
const ports = ['PORT', '81']
const namespaces = ['shop', 'other', 's*', '*p', 'default', '*', 'sh*p', 'x']
const principals = ['*', 'cluster.local/ns/shop/sa/web', 'cluster.local/ns/shop/*', '*/sa/web', '*/batch', 'spiffe://x', 'a']
const accounts = ['shop/web', 'client', 'web', 'other/web', 'sho/web', 'shop/we']
const trustDomains = ['cluster.local', '*', 'cluster.*', '*local', 'local', '*.local']
const requestPrincipals = ['*', `${issuer}/me`, `${issuer}/*`, '*/me', `${issuer}/m*`, issuer, '*you', 'https://*', '*realm/me']
const hosts = ['shop.test', '*', '*.test', 'shop*', 'SHOP.test', 'b.test', '*t', 'shop.test:80']
const paths = ['/a', '/a/*', '*/b', '*', '/', '/{*}', '/a/{*}', '/{**}', '/{*}/b', '/a/{**}/c', '/a*', '/a.b', '/*', '*a']

const sources = { principals, requestPrincipals, namespaces, trustDomains, ipBlocks: addresses }
const operations = { hosts, methods, paths, ports }
const conditions: Readonly<Record<string, readonly string[]>> = {
  'request.headers[x-role]': ['admin', 'a*', '*n', '*', 'ad*n'],
  'request.headers[:method]': methods,
  'request.headers[:authority]': hosts,
  'request.headers[:path]': ['/a', '/a?*', '*'],
  'source.ip': addresses,
  'remote.ip': addresses,
  'source.namespace': namespaces,
  'source.principal': principals,
  'source.trustDomain': trustDomains,
  'source.serviceAccount': accounts,
  'request.auth.principal': requestPrincipals,
  'request.auth.audiences': ['shop-1', 'x', 'y', 's*', '*', '*1'],
  'request.auth.presenter': ['app', 'o*', '*'],
  'request.auth.claims[groups]': ['dev', 'op*', '*'],
  'request.auth.claims[org][unit]': ['sales', '*'],
  'request.auth.claims[org][tags]': ['a', 'b*', '*'],
  'request.auth.claims[scope]': ['read', 'read write', '*'],
  'request.auth.claims[level]': ['7', '*'],
  'destination.ip': addresses,
  'destination.port': ports,
  'connection.sni': ['shop.test', '*.test', '*', 'other'],
}
// Where ours is the stricter, the table has cases of its own: spellings of a path, lists in a header, and who is believed about addresses.
const targets = ['/', '/a', '/a/b', '/a/b/c', '/b', '/a?x=1', '/a.b', '/ab', '/a/x/c', '/x/b']
const callers = ['plain', 'web', 'batch', 'other', 'near']
const extras = [
  'x-role:admin',
  'x-role:an',
  'x-role:',
  'host:SHOP.test',
  'host:b.test',
  'host:shop.test:80',
  'token:me',
  'token:you',
]

/** Policies of a seed, and requests under them. */
export function randomRequests(seed: number): { readonly yaml: string; readonly requests: readonly string[] } {
  const random = seededRandom(seed)
  const chance = (probability: number) => random() < probability
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T
  const some = <T>(make: () => T, most: number): readonly T[] => Array.from({ length: 1 + Math.floor(random() * most) }, make)
  const wanted = (name: string, pool: readonly string[]) => {
    const isNegated = chance(0.3)
    const negation = `not${name.charAt(0).toUpperCase()}${name.slice(1)}`
    return {
      ...(isNegated && chance(0.5) ? {} : { [name]: some(() => pick(pool), 3) }),
      ...(isNegated ? { [negation]: some(() => pick(pool), 2) } : {}),
    }
  }
  const fields = (pools: Readonly<Record<string, readonly string[]>>) =>
    Object.assign({}, ...some(() => pick(Object.entries(pools)), 2).map(([name, pool]) => wanted(name, pool)))
  const source = () => ({ source: chance(0.15) ? wanted('serviceAccounts', accounts) : fields(sources) })
  const condition = () => {
    const [key, pool] = pick(Object.entries(conditions))
    return { key, ...wanted('values', pool) }
  }
  const rule = () => ({
    ...(chance(0.55) ? { from: some(source, 2) } : {}),
    ...(chance(0.55) ? { to: some(() => ({ operation: fields(operations) }), 2) } : {}),
    ...(chance(0.5) ? { when: some(condition, 2) } : {}),
  })
  const policy = (name: string) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name,
      namespace: chance(0.15) ? 'istio-system' : workload.namespace,
      ...(chance(0.1) ? { annotations: { 'istio.io/dry-run': 'true' } } : {}),
    },
    spec: {
      action: chance(0.6) ? 'ALLOW' : 'DENY',
      ...(chance(0.2) ? { selector: { matchLabels: { app: pick([workload.labels.app, 'x']) } } } : {}),
      rules: some(rule, 2),
    },
  })
  const request = () => {
    const headers = new Map(some(() => pick(extras), 3).map(text => [text.split(':', 1)[0], text]))
    return [pick(callers), pick(['GET', 'POST', 'OPTIONS']), pick(targets), ...(chance(0.7) ? headers.values() : [])].join(' ')
  }
  const tokens = {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'tokens', namespace: workload.namespace },
    spec: { jwtRules: [{ issuer, jwks: 'JWKS' }] },
  }
  const policies = ['a', 'b', 'c'].slice(0, 1 + Math.floor(random() * 3)).map(policy)
  // The keys, which are JSON themselves, take the place of a word inside single quotes.
  const documents = [tokens, ...policies].map(each => JSON.stringify(each).replace('"JWKS"', "'JWKS'"))
  return { yaml: documents.map(text => `---\n${text}\n`).join(''), requests: Array.from({ length: 20 }, request) }
}
