import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type DescMessage, fromJson, type JsonObject, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt'
import { PolicySchema, RBACSchema as RulesSchema } from '../../../src/discovery/gen/envoy/config/rbac/v3/rbac_pb.ts'
import { RBACPerRouteSchema, RBACSchema } from '../../../src/discovery/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts'
import { knownTypes } from '../../../src/discovery/known-types.ts'
import { Problems } from '../../../src/discovery/resources/problems.ts'
import { decodeRbac } from '../../../src/discovery/resources/rbac.ts'
import { registerAuditLogger } from '../../../src/policies/rbac/audit-logger-registry.ts'
import { AuthorizationChain } from '../../../src/policies/rbac/authorization-chain.ts'
import type { RbacFilter } from '../../../src/policies/rbac/rbac-rules.ts'
import { inbound } from '../../support/inbound-attributes.ts'

const anyOf = (schema: DescMessage, value: Uint8Array): Any => ({
  $typeName: AnySchema.typeName,
  typeUrl: `type.googleapis.com/${schema.typeName}`,
  value,
})
const encode = (schema: DescMessage, json: JsonValue) => toBinary(schema, fromJson(schema, json, { registry: knownTypes }))

interface Result {
  readonly filter: RbacFilter | undefined
  readonly problems: readonly string[]
}

function decodeAny(any: Any): Result {
  const problems = Problems.of('Filter')
  return { filter: decodeRbac(any, problems), problems: problems.found.map(each => each.replace(/^Filter: /, '')) }
}
const decode = (json: JsonValue, schema: DescMessage = RBACSchema) => decodeAny(anyOf(schema, encode(schema, json)))

const any = [{ any: true }]
/** A filter with one policy. */
const filter = (policy: { readonly [key: string]: JsonValue }): JsonValue => ({
  rules: { policies: { p: { permissions: any, principals: any, ...policy } } },
})

/** The one permission, or principal, of such a filter. */
function ruleOf(field: 'permissions' | 'principals', rule: JsonValue): unknown {
  const { filter: decoded, problems } = decode(filter({ [field]: [rule] }))
  assert.deepEqual(problems, [])
  return decoded?.rules?.policies[0]?.[field][0]
}

const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false })
const ten = { address: '10.0.0.0', prefixLength: 8 }
const tenJson = { addressPrefix: '10.0.0.0', prefixLen: 8 }
const template = { '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig' }

registerAuditLogger({
  type: 'test.Audit',
  check: config => {
    if ('bad' in config) throw new Error('bad: must not be set')
  },
  create: () => ({ log() {} }),
})
const loggerOf = (type: string, value: JsonObject = {}): JsonObject => ({
  name: 'a',
  typedConfig: { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', typeUrl: `type.googleapis.com/${type}`, value },
})
const stdout = { '@type': 'type.googleapis.com/envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog' }
const audited = (...loggerConfigs: readonly JsonObject[]): JsonValue => ({
  rules: { auditLoggingOptions: { auditCondition: 'ON_DENY', loggerConfigs: [...loggerConfigs] } },
})

test('A59: audit loggers are read; one that is optional and that nobody makes is left out', () => {
  const { filter: decoded, problems } = decode(
    audited(
      { auditLogger: { name: 'a', typedConfig: stdout } },
      { auditLogger: loggerOf('test.None'), isOptional: true },
      { auditLogger: loggerOf('test.Audit', { to: ['a'] }) },
    ),
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(decoded?.rules?.audit, {
    condition: 'ON_DENY',
    loggers: [
      { type: 'envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog', config: {} },
      { type: 'test.Audit', config: { to: ['a'] } },
    ],
  })
})

describe('each permission', () => {
  const cases: readonly [JsonValue, unknown][] = [
    [{ any: true }, { kind: 'any' }],
    [{ andRules: { rules: any } }, { kind: 'and', rules: [{ kind: 'any' }] }],
    [{ orRules: { rules: any } }, { kind: 'or', rules: [{ kind: 'any' }] }],
    [{ notRule: { any: true } }, { kind: 'not', rule: { kind: 'any' } }],
    [{ urlPath: { path: { exact: '/a' } } }, { kind: 'url-path', matcher: exact('/a') }],
    [{ destinationIp: tenJson }, { kind: 'destination-ip', range: ten }],
    [{ destinationPort: 80 }, { kind: 'destination-port', start: 80, end: 81 }],
    [{ destinationPortRange: { start: 80, end: 90 } }, { kind: 'destination-port', start: 80, end: 90 }],
    [{ requestedServerName: { exact: 'a' } }, { kind: 'requested-server-name', matcher: exact('a') }],
    [
      { uriTemplate: { name: 'uri-template', typedConfig: { ...template, pathTemplate: '/a/*' } } },
      { kind: 'uri-template', template: '/a/*' },
    ],
    [
      { header: { name: 'X-Role', stringMatch: { exact: 'a' }, invertMatch: true } },
      {
        kind: 'header',
        matcher: { name: 'x-role', match: { kind: 'string', matcher: exact('a') }, invert: true, treatMissingAsEmpty: false },
      },
    ],
    [
      { metadata: { filter: 'f', path: [{ key: 'a' }, { key: 'b' }], value: { stringMatch: { exact: 'x' } }, invert: true } },
      {
        kind: 'metadata',
        matcher: { filter: 'f', path: ['a', 'b'], value: { kind: 'string', matcher: exact('x') }, invert: true },
      },
    ],
  ]
  for (const [json, expected] of cases) test(JSON.stringify(json), () => assert.deepEqual(ruleOf('permissions', json), expected))
})

describe('each principal', () => {
  const cases: readonly [JsonValue, unknown][] = [
    [{ any: true }, { kind: 'any' }],
    [{ andIds: { ids: any } }, { kind: 'and', rules: [{ kind: 'any' }] }],
    [{ orIds: { ids: any } }, { kind: 'or', rules: [{ kind: 'any' }] }],
    [{ notId: { any: true } }, { kind: 'not', rule: { kind: 'any' } }],
    [{ authenticated: {} }, { kind: 'authenticated', name: undefined }],
    [{ authenticated: { principalName: { exact: 'spiffe://a/b' } } }, { kind: 'authenticated', name: exact('spiffe://a/b') }],
    [{ sourceIp: tenJson }, { kind: 'remote-ip', range: ten }],
    [{ directRemoteIp: tenJson }, { kind: 'remote-ip', range: ten }],
    [{ remoteIp: tenJson }, { kind: 'remote-ip', range: ten }],
    [{ urlPath: { path: { exact: '/a' } } }, { kind: 'url-path', matcher: exact('/a') }],
  ]
  for (const [json, expected] of cases) test(JSON.stringify(json), () => assert.deepEqual(ruleOf('principals', json), expected))
})

describe('each value of metadata', () => {
  const cases: readonly [JsonValue, unknown][] = [
    [{ nullMatch: {} }, { kind: 'null' }],
    [{ boolMatch: true }, { kind: 'boolean', value: true }],
    [{ presentMatch: true }, { kind: 'present', present: true }],
    [{ doubleMatch: { exact: 1.5 } }, { kind: 'number', value: 1.5 }],
    [{ doubleMatch: { range: { start: 1, end: 2 } } }, { kind: 'number-range', start: 1, end: 2 }],
    [{ listMatch: { oneOf: { boolMatch: true } } }, { kind: 'one-of', matcher: { kind: 'boolean', value: true } }],
    [
      { orMatch: { valueMatchers: [{ nullMatch: {} }, { nullMatch: {} }] } },
      { kind: 'or', matchers: [{ kind: 'null' }, { kind: 'null' }] },
    ],
  ]
  for (const [value, expected] of cases) {
    test(JSON.stringify(value), () => {
      const decoded = ruleOf('permissions', { metadata: { filter: 'f', path: [{ key: 'a' }], value } })
      assert.deepEqual(decoded, { kind: 'metadata', matcher: { filter: 'f', path: ['a'], value: expected, invert: false } })
    })
  }
})

test('actions, shadow rules and their prefix', () => {
  for (const action of ['ALLOW', 'DENY', 'LOG']) {
    const { filter: decoded } = decode({ rules: { action }, shadowRules: { action: 'DENY' }, shadowRulesStatPrefix: 'dry_' })
    assert.deepEqual(decoded, {
      rules: { action, policies: [] },
      shadowRules: { action: 'DENY', policies: [] },
      shadowRulesStatPrefix: 'dry_',
    })
  }
  assert.deepEqual(decode({}).filter, { rules: undefined, shadowRules: undefined, shadowRulesStatPrefix: '' })
})

test('a route replaces the rules, or takes them away', () => {
  assert.equal(decode({ rbac: { rules: {} } }, RBACPerRouteSchema).filter?.rules?.action, 'ALLOW')
  assert.equal(decode({}, RBACPerRouteSchema).filter?.rules, undefined)
})

describe('B4: what cannot be honoured in full is no filter, and each problem has its path', () => {
  const permission = (rule: JsonValue) => filter({ permissions: [rule] })
  const principal = (id: JsonValue) => filter({ principals: [id] })
  const at = 'rules.policies["p"]'
  const cases: readonly [string, JsonValue, string | RegExp][] = [
    ['no permission', filter({ permissions: [] }), `${at}.permissions: must not be empty`],
    ['no principal', filter({ principals: [] }), `${at}.principals: must not be empty`],
    ['CEL', filter({ condition: {} }), `${at}.condition: is not supported`],
    ['checked CEL', filter({ checkedCondition: {} }), `${at}.checked_condition: is not supported`],
    ['empty permission', permission({}), `${at}.permissions[0].rule: is required, and of a kind that is known here`],
    ['empty principal', principal({}), `${at}.principals[0].identifier: is required, and of a kind that is known here`],
    ['empty set', permission({ andRules: {} }), `${at}.permissions[0].and_rules.rules: must not be empty`],
    ['empty set of ids', principal({ orIds: {} }), `${at}.principals[0].or_ids.ids: must not be empty`],
    ['any: false', permission({ any: false }), `${at}.permissions[0].any: must be true`],
    ['A41: grpc- header', permission({ header: { name: 'grpc-timeout' } }), /header\.name: must be none of grpc-\* and :scheme/],
    ['A41: in a negation', principal({ notId: { header: { name: 'Grpc-Status' } } }), /not_id\.header\.name: must be none/],
    ['A41: :scheme', permission({ header: { name: ':scheme' } }), /header\.name: must be none/],
    [
      'bad address',
      permission({ destinationIp: { addressPrefix: 'x' } }),
      /destination_ip\.address_prefix: must be an IP address/,
    ],
    ['bad prefix', principal({ remoteIp: { addressPrefix: '1.2.3.4', prefixLen: 33 } }), /prefix_len: must be <= 32, got 33/],
    ['bad port', permission({ destinationPort: 65_536 }), /destination_port: must be <= 65535/],
    ['bad ports', permission({ destinationPortRange: { start: 9, end: 9 } }), /destination_port_range: must be a range/],
    ['B20: not RE2', permission({ urlPath: { path: { safeRegex: { regex: '(?=a)' } } } }), /safe_regex\.regex: ".*" is not RE2/],
    ['empty path', permission({ urlPath: {} }), /url_path\.path: is required/],
    ['extension', permission({ matcher: { name: 'm' } }), `${at}.permissions[0].matcher: is not supported: "m"`],
    ['other template', permission({ uriTemplate: { name: 'x' } }), /uri_template: "" is not supported/],
    [
      'bad template',
      permission({ uriTemplate: { name: 'x', typedConfig: { ...template, pathTemplate: 'a' } } }),
      /must begin with \//,
    ],
    ['filter state', principal({ filterState: { key: 'k' } }), `${at}.principals[0].filter_state: is not supported: "k"`],
    ['no value', permission({ metadata: { filter: 'f', path: [{ key: 'a' }] } }), /metadata\.value\.match_pattern: is required/],
    ['no path', permission({ metadata: { filter: 'f', value: { nullMatch: {} } } }), /metadata\.path: must not be empty/],
    ['matcher tree', { matcher: {} }, 'matcher: is not supported'],
    ['shadow matcher tree', { shadowMatcher: {} }, 'shadow_matcher: is not supported'],
    ['unknown action', { rules: { action: 7 } }, 'rules.action: must be ALLOW, DENY or LOG, got 7'],
    [
      'A59: audit logger without a configuration',
      audited({}),
      'rules.audit_logging_options.logger_configs[0].audit_logger.typed_config: must be set',
    ],
    [
      'A59: audit logger that nobody makes',
      audited({ auditLogger: loggerOf('test.None') }),
      'rules.audit_logging_options.logger_configs[0]: audit logger of type "test.None" is not supported and not optional',
    ],
    [
      'A59: configuration that an optional audit logger refuses',
      audited({ auditLogger: loggerOf('test.Audit', { bad: true }), isOptional: true }),
      'rules.audit_logging_options.logger_configs[0].audit_logger.typed_config: bad: must not be set',
    ],
    [
      'A59: unknown audit condition',
      { rules: { auditLoggingOptions: { auditCondition: 9 } } },
      'rules.audit_logging_options.audit_condition: is none that is known: 9',
    ],
  ]
  for (const [what, json, expected] of cases) {
    test(what, () => {
      const { filter: decoded, problems } = decode(json)
      assert.equal(problems.length, 1, problems.join('\n'))
      if (typeof expected === 'string') assert.equal(problems[0], expected)
      else assert.match(problems[0] ?? '', expected)
      assert.equal(decoded, undefined)
    })
  }

  test('a field of a newer version, at any depth', () => {
    const newer = new BinaryWriter().tag(99, WireType.Varint).uint32(1).finish()
    const policy = Uint8Array.from([...encode(PolicySchema, { permissions: any, principals: any }), ...newer])
    const entry = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .string('p')
      .tag(2, WireType.LengthDelimited)
      .bytes(policy)
      .finish()
    const rules = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(entry).finish()
    const value = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(rules).finish()
    assert.deepEqual(decodeAny(anyOf(RBACSchema, value)), {
      filter: undefined,
      problems: ['has fields that are not known here, of number 99'],
    })
  })

  test('bytes that are none, another message, JSON', () => {
    assert.match(decodeAny(anyOf(RBACSchema, Uint8Array.of(0xff))).problems[0] ?? '', /cannot be parsed/)
    assert.match(decodeAny(anyOf(RulesSchema, new Uint8Array())).problems[0] ?? '', /must be an RBAC/)
    const typeUrl = `type.googleapis.com/${RBACSchema.typeName}`
    const struct = knownTypes.getMessage('xds.type.v3.TypedStruct')
    assert.ok(struct)
    assert.deepEqual(decodeAny(anyOf(struct, encode(struct, { typeUrl, value: { rules: {} } }))).problems, [
      'must not be a TypedStruct',
    ])
  })

  test('a chain with such a filter lets nobody in', async () => {
    const rbac = decode(principal({ filterState: { key: 'k' } })).filter
    assert.equal((await new AuthorizationChain([{ name: 'rbac', rbac }]).authorize(inbound())).allowed, false)
  })
})
