import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRegistry, type JsonValue, toJson } from '@bufbuild/protobuf'
import { RBACSchema } from 'inmesh/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb'
import { UriTemplateMatchConfigSchema } from 'inmesh/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb'
import { type AuthorizationOptions, authorizationFilters } from '../../src/translate/authorization/authorization-filters.ts'
import { decodeGood } from '../support/documents.ts'
import { securityYaml } from '../support/security.ts'
import { unpack } from '../support/translate.ts'

const registry = createRegistry(RBACSchema, UriTemplateMatchConfigSchema)
const workload = { namespace: 'foo', labels: { app: 'web', version: 'v1' } }
const policy = (name: string, spec: string, more = ', namespace: foo') => securityYaml('AuthorizationPolicy', name, spec, more)

interface Rbac {
  readonly rules?: {
    readonly action?: string
    readonly policies?: { readonly [name: string]: Readonly<Record<string, JsonValue>> }
  }
  readonly shadowRules?: Rbac['rules']
  readonly shadowRulesStatPrefix: string
}

/** The filters as JSON. */
function filtersOf(yaml: string, options?: AuthorizationOptions): readonly Rbac[] {
  return authorizationFilters(workload, decodeGood(yaml).authorizationPolicies, options).map(({ name, configType }) => {
    assert.equal(name, 'envoy.filters.http.rbac')
    const config = configType.case === 'typedConfig' ? configType.value : undefined
    return JSON.parse(JSON.stringify(toJson(RBACSchema, unpack(config, RBACSchema), { registry })))
  })
}

/** The only policy of the only rule. */
function ruleOf(rule: string, options?: AuthorizationOptions, action = 'ALLOW') {
  const [filter] = filtersOf(policy('p', `{ action: ${action}, rules: [${rule}] }`), options)
  return filter?.rules?.policies?.['ns[foo]-policy[p]-rule[0]']
}
const namesOf = (rules: Rbac['rules']) => Object.keys(rules?.policies ?? {})
const anyRule = { andRules: { rules: [{ any: true }] } }
const anyId = { andIds: { ids: [{ any: true }] } }

describe('which policies apply', () => {
  test('those of the namespace and the root namespace that select the workload', () => {
    const yaml =
      policy('all', '{}') +
      policy('web', '{ selector: { matchLabels: { app: web } } }') +
      policy('other', '{ selector: { matchLabels: { app: other } } }') +
      policy('both', '{ selector: { matchLabels: { app: web, version: v2 } } }') +
      policy('mesh', '{}', ', namespace: istio-system') +
      policy('mesh-web', '{ selector: { matchLabels: { app: web } } }', ', namespace: istio-system') +
      policy('elsewhere', '{}', ', namespace: bar')
    assert.deepEqual(namesOf(filtersOf(yaml)[0]?.rules).sort(), [
      'ns[foo]-policy[all]-rule[0]',
      'ns[foo]-policy[web]-rule[0]',
      'ns[istio-system]-policy[mesh-web]-rule[0]',
      'ns[istio-system]-policy[mesh]-rule[0]',
    ])
    assert.ok(namesOf(filtersOf(yaml, { rootNamespace: 'bar' })[0]?.rules).includes('ns[bar]-policy[elsewhere]-rule[0]'))
  })

  test('none: no filter', () => assert.deepEqual(filtersOf(policy('p', '{}', ', namespace: bar')), []))
})

describe('actions', () => {
  const of = (action: string, name = action.toLowerCase()) =>
    policy(name, `{ action: ${action}, rules: [{}]${action === 'CUSTOM' ? ', provider: { name: p }' : ''} }`)

  test('one filter each: CUSTOM, AUDIT, DENY, ALLOW, in whatever order they were written', () => {
    const filters = filtersOf(of('ALLOW') + of('DENY') + of('CUSTOM') + of('AUDIT'))
    assert.deepEqual(
      filters.map(({ rules }) => [rules?.action ?? 'ALLOW', ...namesOf(rules)]),
      [
        ['DENY', 'istio-ext-authz-p-ns[foo]-policy[custom]-rule[0]-deny-due-to-bad-CUSTOM-action'],
        ['LOG', 'ns[foo]-policy[audit]-rule[0]'],
        ['DENY', 'ns[foo]-policy[deny]-rule[0]'],
        ['ALLOW', 'ns[foo]-policy[allow]-rule[0]'],
      ],
    )
  })

  test('ALLOW without rules matches nothing, the empty rule everything', () => {
    const never = { permissions: [{ notRule: { any: true } }], principals: [{ notId: { any: true } }] }
    assert.deepEqual(filtersOf(policy('p', '{}'))[0]?.rules?.policies, { 'ns[foo]-policy[p]-rule[0]': never })
    assert.deepEqual(ruleOf('{}'), { permissions: [anyRule], principals: [anyId] })
  })

  test('each rule has its number', () => {
    assert.deepEqual(namesOf(filtersOf(policy('p', '{ rules: [{}, {}] }'))[0]?.rules), [
      'ns[foo]-policy[p]-rule[0]',
      'ns[foo]-policy[p]-rule[1]',
    ])
  })

  test('a dry run is a shadow, and enforces nothing on its own', () => {
    const dry = (name: string, action: string) =>
      policy(name, `{ action: ${action}, rules: [{}] }`, ', namespace: foo, annotations: { istio.io/dry-run: "true" }')
    const [deny, allow] = filtersOf(dry('a', 'DENY') + dry('b', 'ALLOW') + of('ALLOW', 'c'))
    assert.deepEqual(
      [deny?.rules, deny?.shadowRules?.action, namesOf(deny?.shadowRules), deny?.shadowRulesStatPrefix],
      [undefined, 'DENY', ['ns[foo]-policy[a]-rule[0]'], 'istio_dry_run_deny_'],
    )
    assert.deepEqual(
      [namesOf(allow?.rules), namesOf(allow?.shadowRules), allow?.shadowRulesStatPrefix],
      [['ns[foo]-policy[c]-rule[0]'], ['ns[foo]-policy[b]-rule[0]'], 'istio_dry_run_allow_'],
    )
  })
})

const authenticated = (principalName: JsonValue) => ({ authenticated: { principalName } })
const regexName = (regex: string) => authenticated({ safeRegex: { regex } })
const jwt = (keys: readonly string[], value: JsonValue) => ({
  metadata: { filter: 'envoy.filters.http.jwt_authn', path: ['payload', ...keys].map(key => ({ key })), value },
})
const text = (value: JsonValue) => ({ stringMatch: value })
const inList = (value: JsonValue) => ({ orMatch: { valueMatchers: [{ listMatch: { oneOf: value } }, value] } })
const something = { safeRegex: { regex: '.+' } }
const orIds = (...ids: readonly JsonValue[]) => ({ orIds: { ids: [...ids] } })
const orRules = (...rules: readonly JsonValue[]) => ({ orRules: { rules: [...rules] } })

describe('sources', () => {
  const cases: readonly [string, readonly JsonValue[]][] = [
    [
      'principals: [td/ns/a/sa/b, "td/*", "*/b.c", "*"]',
      [
        orIds(
          authenticated({ exact: 'spiffe://td/ns/a/sa/b' }),
          authenticated({ prefix: 'spiffe://td/' }),
          regexName('spiffe://.*/b\\.c'),
          regexName('.+'),
        ),
      ],
    ],
    ['notPrincipals: [td/a]', [{ notId: orIds(authenticated({ exact: 'spiffe://td/a' })) }]],
    ['namespaces: [a, "b.*"]', [orIds(regexName('.*/ns/a/.*'), regexName('.*/ns/b\\..*/.*'))]],
    [
      'serviceAccounts: [a, b/c]',
      [orIds(regexName('spiffe://.+/ns/foo/(.+/|)sa/a(/.+)?'), regexName('spiffe://.+/ns/b/(.+/|)sa/c(/.+)?'))],
    ],
    [
      'trustDomains: ["*", td, "*.b"]',
      [
        orIds(
          authenticated({ prefix: 'spiffe://' }),
          authenticated({ prefix: 'spiffe://td/' }),
          regexName('spiffe://[^/]*\\.b/.*'),
        ),
      ],
    ],
    ['ipBlocks: [10.0.0.0/8]', [orIds({ directRemoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } })]],
    ['remoteIpBlocks: ["FD00:0::1"]', [orIds({ remoteIp: { addressPrefix: 'fd00::1', prefixLen: 128 } })]],
    [
      'requestPrincipals: [https://a/b]',
      [{ andIds: { ids: [jwt(['iss'], text({ exact: 'https://a' })), jwt(['sub'], text({ exact: 'b' }))] } }],
    ],
    [
      'notRequestPrincipals: ["*"]',
      [{ notId: { andIds: { ids: [jwt(['iss'], text(something)), jwt(['sub'], text(something))] } } }],
    ],
    [
      'namespaces: [a], principals: [b], ipBlocks: [1.2.3.4]',
      [
        orIds(authenticated({ exact: 'spiffe://b' })),
        orIds(regexName('.*/ns/a/.*')),
        orIds({ directRemoteIp: { addressPrefix: '1.2.3.4', prefixLen: 32 } }),
      ],
    ],
  ]
  for (const [source, ids] of cases) {
    test(source, () => {
      assert.deepEqual(ruleOf(`{ from: [{ source: { ${source} } }] }`), {
        permissions: [anyRule],
        principals: [{ andIds: { ids } }],
      })
    })
  }

  test('several are alternatives, and each has all the conditions', () => {
    const rule =
      '{ from: [{ source: { principals: [a] } }, { source: { principals: [b] } }], when: [{ key: source.ip, values: [1.2.3.4] }] }'
    const ip = orIds({ directRemoteIp: { addressPrefix: '1.2.3.4', prefixLen: 32 } })
    assert.deepEqual(ruleOf(rule)?.principals, [
      { andIds: { ids: [orIds(authenticated({ exact: 'spiffe://a' })), ip] } },
      { andIds: { ids: [orIds(authenticated({ exact: 'spiffe://b' })), ip] } },
    ])
  })
})

describe('operations', () => {
  const header = (name: string, stringMatch: JsonValue) => ({ header: { name, stringMatch } })
  const path = (matcher: JsonValue) => ({ urlPath: { path: matcher } })
  const template = (pathTemplate: string) => ({
    uriTemplate: {
      name: 'uri-template',
      typedConfig: { '@type': `type.googleapis.com/${UriTemplateMatchConfigSchema.typeName}`, pathTemplate },
    },
  })
  const cases: readonly [string, readonly JsonValue[]][] = [
    [
      'hosts: [A.com, "*.b", "c.*", "*"]',
      [
        orRules(
          header(':authority', { exact: 'A.com', ignoreCase: true }),
          header(':authority', { suffix: '.b', ignoreCase: true }),
          header(':authority', { prefix: 'c.', ignoreCase: true }),
          { header: { name: ':authority', presentMatch: true } },
        ),
      ],
    ],
    ['methods: [GET]', [orRules(header(':method', { exact: 'GET' }))]],
    [
      'paths: [/a, "/b*", "*/c", "*"]',
      [orRules(path({ exact: '/a' }), path({ prefix: '/b' }), path({ suffix: '/c' }), path(something))],
    ],
    ['paths: ["/a/{*}/{**}"]', [orRules(template('/a/*/**'))]],
    ['ports: ["80"], notPorts: ["81"]', [orRules({ destinationPort: 80 }), { notRule: orRules({ destinationPort: 81 }) }]],
    [
      'ports: ["80"], methods: [GET], paths: [/a], hosts: [b]',
      [
        orRules(header(':authority', { exact: 'b', ignoreCase: true })),
        orRules(header(':method', { exact: 'GET' })),
        orRules(path({ exact: '/a' })),
        orRules({ destinationPort: 80 }),
      ],
    ],
  ]
  for (const [operation, rules] of cases) {
    test(operation, () => {
      const expected = { permissions: [{ andRules: { rules } }], principals: [anyId] }
      assert.deepEqual(ruleOf(`{ to: [{ operation: { ${operation} } }] }`), expected)
    })
  }
})

describe('conditions', () => {
  const ids = (...all: readonly JsonValue[]) => ({ permissions: [anyRule], principals: [{ andIds: { ids: all } }] })
  const rules = (...all: readonly JsonValue[]) => ({ permissions: [{ andRules: { rules: all } }], principals: [anyId] })
  const cases: readonly [string, string, unknown][] = [
    ['request.headers[X-Role]', 'a', ids(orIds({ header: { name: 'X-Role', stringMatch: { exact: 'a' } } }))],
    ['request.headers[x]', '*', ids(orIds({ header: { name: 'x', presentMatch: true } }))],
    ['request.auth.claims[groups]', 'a', ids(jwt(['groups'], inList(text({ exact: 'a' }))))],
    ['request.auth.claims[a][b]', 'x*', ids(jwt(['a', 'b'], inList(text({ prefix: 'x' }))))],
    ['request.auth.claims[a[b]', 'x', ids(jwt(['a[b'], inList(text({ exact: 'x' }))))],
    ['request.auth.audiences', 'a', ids(jwt(['aud'], inList(text({ exact: 'a' }))))],
    ['request.auth.presenter', 'a', ids(jwt(['azp'], inList(text({ exact: 'a' }))))],
    ['source.namespace', 'a', ids(orIds(regexName('.*/ns/a/.*')))],
    ['destination.port', '80', rules(orRules({ destinationPort: 80 }))],
    ['destination.ip', '10.0.0.1', rules(orRules({ destinationIp: { addressPrefix: '10.0.0.1', prefixLen: 32 } }))],
    ['connection.sni', 'a.com', rules(orRules({ requestedServerName: { exact: 'a.com' } }))],
    [
      'experimental.envoy.filters.a.b[c]',
      '[d]',
      rules({
        metadata: { filter: 'envoy.filters.a.b', path: [{ key: 'c' }], value: { listMatch: { oneOf: text({ exact: 'd' }) } } },
      }),
    ],
  ]
  for (const [key, value, expected] of cases) {
    test(`${key}: ${value}`, () => assert.deepEqual(ruleOf(`{ when: [{ key: "${key}", values: ["${value}"] }] }`), expected))
  }
})

describe('trust domains', () => {
  const aliases = { trustDomain: 'td1', trustDomainAliases: ['td2'] }
  const principals = (list: string, options: AuthorizationOptions) => {
    const policies = ruleOf(`{ from: [{ source: { principals: [${list}] } }] }`, options)
    return [...JSON.stringify(policies).matchAll(/"(?:exact|regex)":"([^"]*)"/g)].map(([, name]) => name)
  }
  const cases: readonly [string, readonly string[]][] = [
    ['td1/ns/a/sa/b', ['spiffe://td1/ns/a/sa/b', 'spiffe://td2/ns/a/sa/b']],
    ['td2/ns/a/sa/b', ['spiffe://td1/ns/a/sa/b', 'spiffe://td2/ns/a/sa/b']],
    ['cluster.local/ns/a/sa/b', ['spiffe://td1/ns/a/sa/b', 'spiffe://td2/ns/a/sa/b']],
    ['other/ns/a/sa/b', ['spiffe://other/ns/a/sa/b']],
    ['"*/ns/a/sa/b"', ['spiffe://.*/ns/a/sa/b']],
    ['"*1/ns/a/sa/b"', ['spiffe://.*1/ns/a/sa/b', 'spiffe://td2/ns/a/sa/b']],
    ['sa/b', ['spiffe://sa/b']],
  ]
  for (const [given, expected] of cases) test(given, () => assert.deepEqual(principals(given, aliases), expected))
})

describe('TCP', () => {
  const tcp = { protocol: 'tcp' } as const
  const rule = '{ from: [{ source: { namespaces: [a] } }], to: [{ operation: { paths: [/a], ports: ["80"] } }] }'

  test('DENY leaves out what only HTTP has, and so denies more', () => {
    assert.deepEqual(ruleOf(rule, tcp, 'DENY'), {
      permissions: [{ andRules: { rules: [orRules({ destinationPort: 80 })] } }],
      principals: [{ andIds: { ids: [orIds(regexName('.*/ns/a/.*'))] } }],
    })
    assert.deepEqual(ruleOf('{ to: [{ operation: { paths: [/a] } }] }', tcp, 'DENY'), {
      permissions: [anyRule],
      principals: [anyId],
    })
  })

  test('ALLOW leaves out the whole rule, and so allows less', () => {
    assert.deepEqual(filtersOf(policy('p', `{ rules: [${rule}] }`), tcp)[0]?.rules, {})
  })
})
