import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type DescMessage, fromJson, type JsonObject, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type Any, AnySchema, anyPack } from '@bufbuild/protobuf/wkt'
import {
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
} from '../../../src/discovery/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts'
import { TypedStructSchema } from '../../../src/discovery/gen/xds/type/v3/typed_struct_pb.ts'
import { decodeExtAuthz, decodeExtAuthzPerRoute } from '../../../src/discovery/resources/ext-authz.ts'
import { Problems } from '../../../src/discovery/resources/problems.ts'

const anyOf = (schema: DescMessage, value: Uint8Array): Any =>
  create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value })
const encode = (schema: DescMessage, json: JsonValue) => anyOf(schema, toBinary(schema, fromJson(schema, json)))

function decodeAny(any: Any) {
  const problems = Problems.of('Filter')
  return { config: decodeExtAuthz(any, problems), problems: problems.found.map(each => each.replace(/^Filter: /, '')) }
}
const decode = (json: JsonObject) => decodeAny(encode(ExtAuthzSchema, json))

const grpc = { grpcService: { envoyGrpc: { clusterName: 'authz' } } }
const http = { httpService: { serverUri: { uri: 'http://authz', cluster: 'authz', timeout: '1s' } } }
const ignoringCase = (value: string) => ({ kind: 'exact', value, ignoreCase: true })

test('what a filter is when it says nothing', () => {
  assert.deepEqual(decode(grpc), {
    problems: [],
    config: {
      authorizer: { kind: 'grpc', cluster: 'authz', authority: 'authz', timeoutMs: 200, metadata: [] },
      allowsOnFailure: false,
      marksFailure: false,
      statusOnError: 403,
      body: undefined,
      allowedHeaders: undefined,
      disallowedHeaders: [],
      enabledFraction: undefined,
      enabledMetadata: undefined,
      deniesWhenDisabled: false,
      clearsRoute: false,
      includesCertificate: false,
      includesServerName: false,
      encodesRawHeaders: false,
      metadataNamespaces: [],
      keepsMetadata: true,
    },
  })
})

test('what an authorizer over HTTP is', () => {
  const matchers = (exact: string) => ({ patterns: [{ exact }] })
  const { config, problems } = decode({
    httpService: {
      ...http.httpService,
      pathPrefix: '/check',
      authorizationRequest: { allowedHeaders: matchers('X-A'), headersToAdd: [{ key: 'X-B', value: '%REQ(x-c)%' }] },
      authorizationResponse: { allowedUpstreamHeaders: matchers('x-user'), allowedClientHeaders: matchers('x-why') },
    },
  })
  assert.deepEqual(problems, [])
  assert.deepEqual(config?.allowedHeaders, [ignoringCase('X-A')])
  assert.deepEqual(config?.authorizer, {
    kind: 'http',
    cluster: 'authz',
    timeoutMs: 1000,
    pathPrefix: '/check',
    headersToAdd: [{ name: 'x-b', value: '%REQ(x-c)%' }],
    upstreamHeaders: [ignoringCase('x-user')],
    upstreamHeadersToAppend: [],
    clientHeaders: [ignoringCase('x-why')],
    clientHeadersOnSuccess: [],
    metadataHeaders: [],
  })
})

describe('what is refused, with its field', () => {
  const metadata = (filter: string, key: string) => ({
    filterEnabledMetadata: { filter, path: [{ key }], value: { stringMatch: { prefix: 'a' } } },
  })
  const cases: readonly (readonly [JsonObject, string])[] = [
    [{}, 'services: is required'],
    [{ grpcService: {} }, 'grpc_service.target_specifier: must be envoy_grpc, got nothing'],
    [{ grpcService: { googleGrpc: {} } }, 'grpc_service.target_specifier: must be envoy_grpc, got googleGrpc'],
    [{ grpcService: { envoyGrpc: {} } }, 'grpc_service.envoy_grpc.cluster_name: is required'],
    [{ grpcService: { ...grpc.grpcService, timeout: '-1s' } }, 'grpc_service.timeout: must be >= 0, got -1s'],
    [
      { grpcService: { ...grpc.grpcService, initialMetadata: [{ key: 'a', value: '%NO%' }] } },
      'grpc_service.initial_metadata[0].value: has the unknown operator %NO%',
    ],
    [{ httpService: {} }, 'http_service.server_uri.timeout: is required'],
    [{ httpService: { ...http.httpService, pathPrefix: 'a' } }, 'http_service.path_prefix: must begin with /, got a'],
    [{ ...grpc, transportApiVersion: 'V2' }, 'transport_api_version: must be V3'],
    [{ ...grpc, withRequestBody: {} }, 'with_request_body.max_request_bytes: must be > 0'],
    [{ ...grpc, statusOnError: { code: 'Continue' } }, 'status_on_error: must be from 200 to 599, got 100'],
    [{ ...grpc, allowedHeaders: {} }, 'allowed_headers.patterns: must not be empty'],
    [{ ...grpc, disallowedHeaders: { patterns: [{ safeRegex: { regex: '(' } }] } }, 'disallowed_headers.patterns[0].safe_regex'],
    [
      {
        httpService: { ...http.httpService, authorizationRequest: { allowedHeaders: { patterns: [{ exact: 'a' }] } } },
        allowedHeaders: { patterns: [{ exact: 'a' }] },
      },
      'allowed_headers: must not be set together with that of http_service',
    ],
    [{ ...grpc, filterEnabled: {} }, 'filter_enabled.default_value: is required'],
    [{ ...grpc, denyAtDisable: { runtimeKey: 'a' } }, 'deny_at_disable.default_value: is required'],
    [{ ...grpc, ...metadata('other', 'a') }, 'filter_enabled_metadata.filter: must be one of envoy.filters.http.rbac,'],
    [
      { ...grpc, ...metadata('envoy.filters.http.rbac', 'enforced_effective_policy_id') },
      'filter_enabled_metadata.path: must be shadow_',
    ],
    [{ ...grpc, decoderHeaderMutationRules: {} }, 'decoder_header_mutation_rules: is not supported'],
    [{ ...grpc, bootstrapMetadataLabelsKey: 'a' }, 'bootstrap_metadata_labels_key: is not supported'],
    [{ ...grpc, routeMetadataContextNamespaces: ['a'] }, 'route_metadata_context_namespaces: is not supported'],
    [{ ...grpc, typedMetadataContextNamespaces: ['a'] }, 'typed_metadata_context_namespaces: is not supported'],
  ]
  for (const [json, expected] of cases) {
    test(expected, () => {
      const { config, problems } = decode(json)
      assert.equal(config, undefined)
      assert.ok(problems[0]?.startsWith(expected), problems[0])
    })
  }

  test('a field of a newer version, at any depth', () => {
    const inner = new BinaryWriter().tag(99, WireType.Varint).bool(true).finish()
    const outer = new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(inner).finish()
    const any = encode(ExtAuthzSchema, grpc)
    const { config, problems } = decodeAny({ ...any, value: Buffer.concat([any.value, outer]) })
    assert.equal(config, undefined)
    assert.match(problems.join(), /has fields that are not known here, of number 99/)
  })

  test('a TypedStruct, of which it cannot be told what was not known', () => {
    const struct = create(TypedStructSchema, { typeUrl: `type.googleapis.com/${ExtAuthzSchema.typeName}`, value: grpc })
    assert.deepEqual(decodeAny(anyPack(TypedStructSchema, struct)), {
      config: undefined,
      problems: ['must not be a TypedStruct'],
    })
  })

  test('bytes that are none', () => {
    const { config, problems } = decodeAny(anyOf(ExtAuthzSchema, Buffer.from([0xff])))
    assert.equal(config, undefined)
    assert.match(problems.join(), /cannot be parsed/)
  })
})

describe('what a route says', () => {
  const decodeRoute = (json: JsonObject) => {
    const problems = Problems.of('Filter')
    return { result: decodeExtAuthzPerRoute(encode(ExtAuthzPerRouteSchema, json), problems), problems: problems.found }
  }

  test('that it is not asked about, or what the authorizer is told beside', () => {
    assert.deepEqual(decodeRoute({ disabled: true }), { result: 'disabled', problems: [] })
    const checkSettings = { contextExtensions: { a: 'b' }, withRequestBody: { maxRequestBytes: 5, packAsBytes: true } }
    assert.deepEqual(decodeRoute({ checkSettings }).result, {
      contextExtensions: { a: 'b' },
      disablesBody: false,
      body: { maxBytes: 5, allowsPartial: false, isRaw: true },
    })
  })

  test('what it may not say', () => {
    assert.match(decodeRoute({}).problems.join(), /override: is required/)
    assert.match(decodeRoute({ disabled: false }).problems.join(), /disabled: must be true/)
    const both = { disableRequestBodyBuffering: true, withRequestBody: { maxRequestBytes: 5 } }
    assert.match(decodeRoute({ checkSettings: both }).problems.join(), /with_request_body: must not be set together/)
  })
})
