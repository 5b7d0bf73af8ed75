import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decode, decodeGood, linesOf } from '../support/documents.ts'
import { securityYaml } from '../support/security.ts'

test('an error names file, line, column, object and field, and all errors are found', () => {
  const { problems, documents } = decode(
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: a
  namespace: shop
spec:
  action: DENY
  rules:
    - from:
        - source:
            ipBlocks: [10.0.0.0/40]
            namespace: [a]
      to:
        - operation:
            ports: [http]
      when:
        - key: request.time
          values: [x]
`,
  )
  assert.deepEqual([...linesOf(problems, 'error')].sort(), [
    'mesh.yaml:11:24: AuthorizationPolicy shop/a: spec.rules[0].from[0].source.ipBlocks[0]: is neither an IP address nor a range of them: "10.0.0.0/40"',
    'mesh.yaml:12:13: AuthorizationPolicy shop/a: spec.rules[0].from[0].source.namespace: is not a field; did you mean namespaces?',
    'mesh.yaml:15:21: AuthorizationPolicy shop/a: spec.rules[0].to[0].operation.ports[0]: must be a port, got "http"',
    'mesh.yaml:17:11: AuthorizationPolicy shop/a: spec.rules[0].when[0].key: is no attribute: "request.time"',
  ])
  assert.deepEqual(documents.authorizationPolicies, [])
})

describe('warnings', () => {
  const cases: readonly [string, string, RegExp | undefined][] = [
    [
      'DENY by path on every port',
      '{ action: DENY, rules: [{ to: [{ operation: { paths: [/a] } }] }] }',
      /on a port that is not HTTP denies everything/,
    ],
    ['DENY by path on a port', '{ action: DENY, rules: [{ to: [{ operation: { paths: [/a], ports: ["80"] } }] }] }', undefined],
    [
      'DENY by token',
      '{ action: DENY, rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }] }',
      /on a port that is not HTTP/,
    ],
    ['DENY by principal', '{ action: DENY, rules: [{ from: [{ source: { principals: [a] } }] }] }', undefined],
    ['ALLOW by path', '{ rules: [{ to: [{ operation: { paths: [/a] } }] }] }', undefined],
    ['an empty selector', '{ selector: {} }', /selector: has no labels, and so selects every workload/],
    [
      'an empty list',
      '{ rules: [{ from: [{ source: { principals: [], namespaces: [a] } }] }] }',
      /principals: is empty, and so has no effect/,
    ],
    [
      'CUSTOM',
      '{ action: CUSTOM, provider: { name: p }, rules: [{}] }',
      /provider.name: no MeshConfig defines p: what the rules match is denied/,
    ],
  ]
  for (const [what, spec, expected] of cases) {
    test(what, () => {
      const { problems } = decode(securityYaml('AuthorizationPolicy', 'a', spec))
      assert.deepEqual(linesOf(problems, 'error'), [])
      const warnings = linesOf(problems, 'warning')
      if (expected === undefined) assert.deepEqual(warnings, [])
      else assert.match(warnings.join('\n'), expected)
    })
  }
})

test('a dry run is one when its annotation is true, as Go reads it', () => {
  const read = (value: string) =>
    decode(securityYaml('AuthorizationPolicy', 'a', '{}', `, annotations: { istio.io/dry-run: "${value}" }`))
  for (const [value, expected] of [
    ['true', true],
    ['1', true],
    ['T', true],
    ['false', false],
    ['0', false],
  ] as const) {
    assert.equal(read(value).documents.authorizationPolicies[0]?.isDryRun, expected, value)
  }
  assert.match(linesOf(read('yes').problems, 'error').join(), /must be true or false, got "yes"/)
})

test('peer authentication: modes of the workload and of its ports', () => {
  const spec =
    '{ selector: { matchLabels: { app: a } }, mtls: { mode: STRICT }, portLevelMtls: { 80: { mode: DISABLE }, 81: {} } }'
  const [policy] = decodeGood(securityYaml('PeerAuthentication', 'a', spec)).peerAuthentications
  assert.deepEqual(
    [policy?.selector, policy?.mode, [...(policy?.portModes ?? [])]],
    [
      { app: 'a' },
      'STRICT',
      [
        [80, 'DISABLE'],
        [81, 'UNSET'],
      ],
    ],
  )
})

test('request authentication: everything of a rule, and its defaults', () => {
  const full = `{
    issuer: https://a, audiences: [x, z], jwksUri: https://a/keys, fromHeaders: [{ name: X-Token, prefix: "T " }], fromParams: [t],
    fromCookies: [c], outputPayloadToHeader: X-Payload, outputClaimToHeaders: [{ header: X-Sub, claim: sub }],
    forwardOriginalToken: true, spaceDelimitedClaims: [roles], timeout: 2s }`
  const [policy] = decodeGood(
    securityYaml('RequestAuthentication', 'a', `{ jwtRules: [${full}, { issuer: b }] }`),
  ).requestAuthentications
  const nothing = {
    audiences: [],
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
  }
  assert.deepEqual(policy?.jwtRules, [
    {
      issuer: 'https://a',
      audiences: ['x', 'z'],
      jwksUri: 'https://a/keys',
      jwks: '',
      fromHeaders: [{ name: 'x-token', prefix: 'T ' }],
      fromParams: ['t'],
      fromCookies: ['c'],
      outputPayloadToHeader: 'x-payload',
      outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }],
      forwardOriginalToken: true,
      spaceDelimitedClaims: ['roles'],
      timeoutMs: 2000,
    },
    { ...nothing, issuer: 'b', jwksUri: '', jwks: '', outputPayloadToHeader: '', forwardOriginalToken: false, timeoutMs: 5000 },
  ])
})

test('a private key among the keys is warned of', () => {
  const spec = `{ jwtRules: [{ issuer: a, jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}' }] }`
  assert.match(linesOf(decode(securityYaml('RequestAuthentication', 'a', spec)).problems, 'warning').join(), /has a private key/)
})
