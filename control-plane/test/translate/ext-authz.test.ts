import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { toJson } from '@bufbuild/protobuf'
import { ExtAuthzSchema } from 'inmesh/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb'
import { RBACSchema } from 'inmesh/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb'
import { ModelBuilder } from '../../src/model/model-builder.ts'
import { authorizationFilters } from '../../src/translate/authorization/authorization-filters.ts'
import { decodeGood } from '../support/documents.ts'
import { securityYaml } from '../support/security.ts'
import { unpack } from '../support/translate.ts'

const service = `apiVersion: v1
kind: Service
metadata: { name: authz, namespace: shop }
spec: { ports: [{ port: 9000, name: grpc }, { port: 8000, name: http }] }
---
`
const custom = (name: string, provider: string) =>
  securityYaml(
    'AuthorizationPolicy',
    name,
    `{ action: CUSTOM, provider: { name: ${provider} }, rules: [{ to: [{ operation: { paths: [/a] } }] }] }`,
    ', namespace: foo',
  )
const host = 'authz.shop.svc.cluster.local'
const grpc = (more = '') => `{ name: g, envoyExtAuthzGrpc: { service: ${host}, port: 9000${more} } }`

function filtersOf(policies: string, ...providers: readonly string[]) {
  const documents = decodeGood(`${policies}${service}extensionProviders: [${providers.join(', ')}]\n`)
  const { routing } = new ModelBuilder().build(documents, [])
  const filters = authorizationFilters({ namespace: 'foo', labels: {} }, documents.authorizationPolicies, {
    authorizers: routing,
  })
  return filters.map(({ name, configType }) => {
    const any = configType.case === 'typedConfig' ? configType.value : undefined
    const config =
      name === 'envoy.filters.http.rbac'
        ? toJson(RBACSchema, unpack(any, RBACSchema))
        : toJson(ExtAuthzSchema, unpack(any, ExtAuthzSchema))
    return { name, config: JSON.parse(JSON.stringify(config)) }
  })
}

const enabledBy = (provider: string) => ({
  filter: 'envoy.filters.http.rbac',
  path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
  value: { stringMatch: { prefix: `istio-ext-authz-${provider}-` } },
})

describe('AuthorizationPolicy with the action CUSTOM', () => {
  test('over gRPC: shadow rules, and the filter that asks whom they match', () => {
    const [rbac, extAuthz, ...more] = filtersOf(custom('p', 'g'), grpc())
    assert.deepEqual(more, [])
    assert.equal(rbac?.config.rules, undefined)
    assert.equal(rbac?.config.shadowRulesStatPrefix, 'istio_ext_authz_')
    assert.equal(rbac?.config.shadowRules.action, 'DENY')
    assert.deepEqual(Object.keys(rbac?.config.shadowRules.policies), ['istio-ext-authz-g-ns[foo]-policy[p]-rule[0]'])
    assert.deepEqual(extAuthz, {
      name: 'envoy.filters.http.ext_authz',
      config: {
        grpcService: {
          envoyGrpc: { clusterName: `outbound|9000||${host}`, authority: host },
          timeout: '600s',
        },
        transportApiVersion: 'V3',
        filterEnabledMetadata: enabledBy('g'),
      },
    })
  })

  test('over HTTP, with everything', () => {
    const more =
      'timeout: 0.25s, failOpen: true, statusOnError: "503", pathPrefix: /check, includeRequestHeadersInCheck: [X-A, "x-b*", "*-c"], ' +
      'includeAdditionalHeadersInCheck: { x-z: z, x-d: d }, headersToUpstreamOnAllow: [u], headersToDownstreamOnDeny: [x-n], ' +
      'headersToDownstreamOnAllow: [x-y], includeRequestBodyInCheck: { maxRequestBytes: 7, allowPartialMessage: true }, clearRouteCache: true'
    const [, extAuthz] = filtersOf(
      custom('p', 'h'),
      `{ name: h, envoyExtAuthzHttp: { service: shop/${host}, port: 8000, ${more} } }`,
    )
    const exact = (text: string) => ({ patterns: [{ exact: text, ignoreCase: true }] })
    assert.deepEqual(extAuthz?.config, {
      httpService: {
        serverUri: { uri: `http://${host}`, cluster: `outbound|8000||${host}`, timeout: '0.250s' },
        pathPrefix: '/check',
        authorizationRequest: {
          allowedHeaders: {
            patterns: [
              { exact: 'X-A', ignoreCase: true },
              { prefix: 'x-b', ignoreCase: true },
              { suffix: '-c', ignoreCase: true },
            ],
          },
          headersToAdd: [
            { key: 'x-d', value: 'd' },
            { key: 'x-z', value: 'z' },
          ],
        },
        authorizationResponse: {
          allowedUpstreamHeaders: exact('u'),
          allowedClientHeaders: exact('x-n'),
          allowedClientHeadersOnSuccess: exact('x-y'),
        },
      },
      transportApiVersion: 'V3',
      failureModeAllow: true,
      clearRouteCache: true,
      statusOnError: { code: 'ServiceUnavailable' },
      withRequestBody: { maxRequestBytes: 7, allowPartialMessage: true },
      filterEnabledMetadata: enabledBy('h'),
    })
  })

  test('each provider has filters of its own, in the order of the names', () => {
    const second = `{ name: b, envoyExtAuthzGrpc: { service: ${host}, port: 9000 } }`
    const filters = filtersOf(custom('p', 'g') + custom('q', 'b'), grpc(), second)
    assert.deepEqual(
      filters.map(
        ({ config }) => config.filterEnabledMetadata?.value.stringMatch.prefix ?? Object.keys(config.shadowRules.policies)[0],
      ),
      [
        'istio-ext-authz-b-ns[foo]-policy[q]-rule[0]',
        'istio-ext-authz-b-',
        'istio-ext-authz-g-ns[foo]-policy[p]-rule[0]',
        'istio-ext-authz-g-',
      ],
    )
  })

  describe('denies what it matches', () => {
    const cases: Readonly<Record<string, readonly string[]>> = {
      'without a provider of the name': [],
      'when its service is not known': ['{ name: g, envoyExtAuthzGrpc: { service: other.shop.svc.cluster.local, port: 9000 } }'],
      'when its service is in another namespace': [`{ name: g, envoyExtAuthzGrpc: { service: bar/${host}, port: 9000 } }`],
      'when its service has no such port': [`{ name: g, envoyExtAuthzGrpc: { service: ${host}, port: 1, failOpen: true } }`],
    }
    for (const [what, providers] of Object.entries(cases)) {
      test(what, () => {
        const filters = filtersOf(custom('p', 'g'), ...providers)
        assert.equal(filters.length, 1)
        assert.equal(filters[0]?.config.rules.action, 'DENY')
        assert.deepEqual(Object.keys(filters[0]?.config.rules.policies), [
          'istio-ext-authz-g-ns[foo]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action',
        ])
      })
    }
  })
})
