import assert from 'node:assert/strict'
import { Agent, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import { describe, type TestContext, test } from 'node:test'
import { createRegistry, toJson } from '@bufbuild/protobuf'
import type { Any } from '@bufbuild/protobuf/wkt'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { parseDocuments } from '../../control-plane/src/sources/parse-documents.ts'
import { authorizationFilters } from '../../control-plane/src/translate/authorization/authorization-filters.ts'
import { readDocuments } from '../../control-plane/src/validate/read-documents.ts'
import { RBACSchema } from '../../src/discovery/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import { HttpFilterSchema } from '../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { UriTemplateMatchConfigSchema } from '../../src/discovery/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts'
import { Problems } from '../../src/discovery/resources/problems.ts'
import { decodeRbac } from '../../src/discovery/resources/rbac.ts'
import { AuthorizationChain } from '../../src/policies/rbac/authorization-chain.ts'
import { freePorts } from '../support/free-ports.ts'
import { claimsOf, inbound } from '../support/inbound-attributes.ts'
import { TestCa } from '../support/test-ca.ts'
import { answeringListener, startStaticEnvoy } from './support/static-envoy.ts'

/** Rules of one AuthorizationPolicy each; several in one chain where there are several. */
const chains: Readonly<Record<string, readonly string[]>> = {
  nothing: ['{}'],
  everything: ['{ rules: [{}] }'],
  'any principal': ['{ rules: [{ from: [{ source: { principals: ["*"] } }] }] }'],
  'a principal': ['{ rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }] }] }'],
  'not a principal': ['{ rules: [{ from: [{ source: { notPrincipals: [cluster.local/ns/shop/sa/web] } }] }] }'],
  'principals by both ends': ['{ rules: [{ from: [{ source: { principals: ["old/*", "*/sa/web"] } }] }] }'],
  namespaces: ['{ rules: [{ from: [{ source: { namespaces: ["sh*"], notNamespaces: [other] } }] }] }'],
  'service accounts': ['{ rules: [{ from: [{ source: { serviceAccounts: [shop/web, b] } }] }] }'],
  'trust domains': ['{ rules: [{ from: [{ source: { trustDomains: [old] } }] }] }'],
  addresses: [
    '{ action: DENY, rules: [{ from: [{ source: { ipBlocks: [127.0.0.0/8], notRemoteIpBlocks: [10.0.0.0/8] } }], to: [{ operation: { methods: [POST] } }] }] }',
  ],
  'methods and paths': ['{ rules: [{ to: [{ operation: { methods: [GET, "P*"], paths: [/a, "/users/*", "*.html"] } }] }] }'],
  'not paths': ['{ rules: [{ to: [{ operation: { notPaths: ["/users/*"] } }] }] }'],
  'path templates': ['{ rules: [{ to: [{ operation: { paths: ["/users/{*}/orders/{**}", "/{**}/x.html"] } }] }] }'],
  hosts: ['{ rules: [{ to: [{ operation: { hosts: [A.test, "*.b.test", "c.*"] } }] }] }'],
  'a header': ['{ rules: [{ when: [{ key: "request.headers[X-Role]", values: [admin, "ops-*"] }] }] }'],
  'not a header': ['{ rules: [{ when: [{ key: "request.headers[x-role]", notValues: [admin] }] }] }'],
  'a header there': ['{ rules: [{ when: [{ key: "request.headers[x-role]", values: ["*"] }] }] }'],
  'DENY a header': ['{ action: DENY, rules: [{ when: [{ key: "request.headers[x-role]", values: [admin] }] }] }'],
  'DENY without a header': ['{ action: DENY, rules: [{ when: [{ key: "request.headers[x-role]", notValues: [admin] }] }] }'],
  'any token': ['{ rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] }'],
  'no token': ['{ action: DENY, rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }] }'],
  'a token': ['{ rules: [{ from: [{ source: { requestPrincipals: ["https://issuer/me"] } }] }] }'],
  claims: [
    '{ rules: [{ when: [{ key: "request.auth.claims[groups]", values: [dev] }, { key: "request.auth.claims[org][unit]", notValues: [x] }] }] }',
  ],
  audiences: ['{ rules: [{ when: [{ key: request.auth.audiences, values: ["shop*"] }] }] }'],
  'deny and allow': [
    '{ action: DENY, rules: [{ to: [{ operation: { paths: ["/users/*"] } }] }] }',
    '{ rules: [{ to: [{ operation: { methods: [GET] } }] }] }',
  ],
  audit: ['{ action: AUDIT, rules: [{}] }', '{ action: DENY, rules: [{ to: [{ operation: { paths: [/a] } }] }] }'],
}

const registry = createRegistry(RBACSchema, UriTemplateMatchConfigSchema)

/** The filters for a workload of `shop`: for Envoy, and for us. */
function filtersOf(specs: readonly string[]) {
  const yaml = specs.map(
    (spec, index) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p${index}, namespace: shop }
spec: ${spec}
---
`,
  )
  const { documents, problems } = readDocuments(parseDocuments('mesh.yaml', yaml.join('')).documents)
  assert.deepEqual(
    problems.filter(({ severity }) => severity === 'error'),
    [],
  )
  const filters = authorizationFilters({ namespace: 'shop', labels: {} }, documents.authorizationPolicies)
  const ours = filters.map(({ name, configType }) => ({
    name,
    rbac: decode(configType.case === 'typedConfig' ? configType.value : undefined),
  }))
  return { theirs: filters.map(filter => toJson(HttpFilterSchema, filter, { registry })), chain: new AuthorizationChain(ours) }
}

function decode(any: Any | undefined) {
  const problems = Problems.of('RBAC')
  const filter = decodeRbac(any, problems)
  assert.deepEqual(problems.found, [])
  return filter
}

interface Call {
  readonly method: string
  readonly target: string
  readonly authority: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
  /** Of the certificate; `undefined`: in plain text. */
  readonly principal: string | undefined
  readonly claims: Readonly<Record<string, unknown>> | undefined
}

const web = 'spiffe://cluster.local/ns/shop/sa/web'
const old = 'spiffe://old/ns/other/sa/b'
const tokens = [
  { iss: 'https://issuer', sub: 'me', aud: ['shop-1', 'x'], groups: ['dev', 'ops'] },
  { iss: 'https://issuer', sub: 'you', aud: ['y'], groups: 'dev', org: { unit: 'x' } },
]
const plain: Call = { method: 'GET', target: '/a', authority: 'a.test', headers: [], principal: web, claims: undefined }

/** Each call differs from the plain one in a thing or two. */
const calls: readonly Call[] = [
  ...[
    '/',
    '/a',
    '/a?b=c',
    '/A',
    '/a/',
    '/users/',
    '/users/7',
    '/users/7/orders/',
    '/users/7/orders/8/9',
    '/users//orders/',
    '/x/x.html',
    '/x.html',
    '/a.html?x',
    '/%61',
  ].flatMap(target => [
    { ...plain, target },
    { ...plain, target, principal: undefined, method: 'POST' },
  ]),
  ...['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH'].map(method => ({ ...plain, method })),
  ...['a.test', 'A.TEST', 'x.b.test', 'b.test', 'c.x', 'a.test:80'].map(authority => ({ ...plain, authority })),
  ...[web, old, undefined].flatMap(principal => [undefined, ...tokens].map(claims => ({ ...plain, principal, claims }))),
  ...['admin', 'user', 'ops-1', 'Admin', ''].map(role => ({ ...plain, headers: ['X-Role', role] })),
  { ...plain, headers: ['x-forwarded-for', '10.0.0.1'], method: 'POST' },
  { ...plain, headers: ['x_role', 'admin'] },
]

/** Where a field has several readings, and Envoy takes one. */
const ambiguous: readonly Call[] = [
  ['x-role', 'user', 'x-role', 'admin'],
  ['x-role', 'admin', 'x-role', 'user'],
  ['x-role', 'admin', 'x-role', 'admin'],
  ['x-role', 'user', 'x-role', 'guest'],
  ['x-role', 'user,admin'],
  ['x-role', 'admin, user'],
].map(headers => ({ ...plain, headers }))

/** What Envoy lets pass of these: an ALLOW by any of several lines, a DENY that looks at whole lines alone. */
/** What a framework could take for a path that is closed; Envoy compares letter by letter. */
const byPath: readonly string[] = ['audit: /A', 'audit: /a/']

const stricterThanEnvoy = [
  'a header: user + admin',
  'a header: admin + user',
  'not a header: user,admin',
  'not a header: admin, user',
  'DENY a header: user,admin',
  'DENY a header: admin, user',
  'DENY without a header: user + admin',
  'DENY without a header: admin + user',
]

function answerOf(
  options: RequestOptions & { readonly cert?: string; readonly key?: string; readonly ca?: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const read = (response: IncomingMessage) => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve(`${response.statusCode} ${body}`.trim()))
    }
    const outgoing =
      options.cert === undefined
        ? requestHttp(options, read)
        : requestHttps({ ...options, checkServerIdentity: () => undefined }, read)
    outgoing.on('error', reject).end()
  })
}

async function start(t: TestContext) {
  const ca = await TestCa.create(t)
  const [server, ...clients] = await Promise.all([ca.issue('ip:127.0.0.1'), ca.issue(`url:${web}`), ca.issue(`url:${old}`)])
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const inline = (text: string) => ({ inline_string: text })
  const tls = {
    name: 'tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: inline(server.certificate), private_key: inline(server.privateKey) }],
        validation_context: { trusted_ca: inline(ca.certificate) },
      },
    },
  }
  const jwt = {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
      providers: {
        origins: {
          issuer: 'https://issuer',
          payload_in_metadata: 'payload',
          local_jwks: inline(JSON.stringify({ keys: [await exportJWK(publicKey)] })),
        },
      },
      rules: [
        {
          match: { prefix: '/' },
          requires: { requires_any: { requirements: [{ provider_name: 'origins' }, { allow_missing: {} }] } },
        },
      ],
    },
  }
  const sets = Object.entries(chains).map(([name, specs]) => ({ name, ...filtersOf(specs) }))
  const ports = await freePorts(2 * sets.length)
  const portsOf = (index: number) => ({ plainPort: ports[2 * index] ?? 0, tlsPort: ports[2 * index + 1] ?? 0 })
  await startStaticEnvoy(
    t,
    sets.flatMap(({ theirs }, index) => {
      const { plainPort, tlsPort } = portsOf(index)
      return [answeringListener(plainPort, [jwt, ...theirs]), answeringListener(tlsPort, [jwt, ...theirs], tls)]
    }),
  )
  const signed = new Map<unknown, string>()
  for (const claims of tokens) {
    signed.set(claims, await new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).setExpirationTime('1h').sign(privateKey))
  }
  const agents = {
    http: new Agent({ keepAlive: true }),
    [web]: new TlsAgent({ keepAlive: true }),
    [old]: new TlsAgent({ keepAlive: true }),
  }
  t.after(() => {
    for (const agent of Object.values(agents)) agent.destroy()
  })

  const askEnvoy = (index: number, { method, target, authority, headers, principal, claims }: Call) => {
    const { plainPort, tlsPort } = portsOf(index)
    const token = signed.get(claims)
    const all = ['host', authority, ...headers, ...(token === undefined ? [] : ['authorization', `Bearer ${token}`])]
    const options = { host: '127.0.0.1', method, path: target, headers: all }
    if (principal === undefined) return answerOf({ ...options, port: plainPort, agent: agents.http })
    const identity = clients[principal === web ? 0 : 1]
    assert.ok(identity)
    const { certificate: cert, privateKey: key } = identity
    return answerOf({ ...options, port: tlsPort, cert, key, ca: ca.certificate, agent: agents[principal === web ? web : old] })
  }
  return { sets, portsOf, askEnvoy }
}

/** The same call as our server sees it. */
function attributesOf({ method, target, authority, headers, principal, claims }: Call, port: number) {
  const [path = '', ...query] = target.split('?')
  return inbound({
    method,
    path,
    query: query.length === 0 ? '' : `?${query.join('?')}`,
    authority,
    headers: headers.map((each, index) => (index % 2 === 0 ? each.toLowerCase() : each)),
    peer: { principal, address: '127.0.0.1' },
    destination: { address: '127.0.0.1', port },
    claims: claims && claimsOf(claims),
  })
}

describe('RBAC, beside a real Envoy', () => {
  test('the same filters give the same answers', async t => {
    const { sets, portsOf, askEnvoy } = await start(t)
    const wrong: unknown[] = []
    const seenByPath = new Set<string>()
    const ours = async (index: number, call: Call) => {
      const result = await sets[index]?.chain.authorize(attributesOf(call, portsOf(index).plainPort))
      assert.ok(result)
      return result.allowed ? '200' : call.method === 'HEAD' ? '403' : `${result.status} ${result.body}`
    }
    let count = 0
    const tally = { allowed: 0, denied: 0 }
    for (const [index, { name }] of sets.entries()) {
      for (const call of calls) {
        const [envoys, own] = [await askEnvoy(index, call), await ours(index, call)]
        const isStricter = envoys === '200' && own.startsWith('403') && byPath.includes(`${name}: ${call.target}`)
        if (envoys !== own && !isStricter) wrong.push({ name, call, envoys, own })
        if (isStricter) seenByPath.add(`${name}: ${call.target}`)
        tally[own === '200' ? 'allowed' : 'denied']++
        count++
      }
    }
    assert.deepEqual(wrong, [])
    assert.deepEqual([...seenByPath].sort(), [...byPath].sort())
    t.diagnostic(`${count} answers, ${tally.allowed} allowed and ${tally.denied} denied`)
    assert.ok(tally.allowed > 300 && tally.denied > 300)

    // CVE-2026-26308 and RFC 9110 §5.3: whoever Envoy denies is denied, and some more.
    const stricter: string[] = []
    for (const [index, { name }] of sets.entries()) {
      for (const call of ambiguous) {
        const [envoys, own] = [await askEnvoy(index, call), await ours(index, call)]
        if (envoys === own) continue
        assert.deepEqual([envoys, own.slice(0, 3)], ['200', '403'], `${name} ${call.headers}`)
        stricter.push(`${name}: ${call.headers.filter((_, at) => at % 2 === 1).join(' + ')}`)
      }
    }
    assert.deepEqual(stricter, stricterThanEnvoy)
  })
})
