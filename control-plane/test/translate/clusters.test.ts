import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { durationMs } from '@bufbuild/protobuf/wkt'
import {
  type Cluster,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import { NodeSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import {
  RingHash_HashFunction as HashFunction,
  RingHashSchema,
} from 'inmesh/gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb'
import { WrrLocalitySchema } from 'inmesh/gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb'
import { UpstreamTlsContextSchema } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb'
import { HttpProtocolOptionsSchema } from 'inmesh/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb'
import type { LoadReporting } from '../../src/translate/cluster.ts'
import { viewOf } from '../../src/translate/view.ts'
import { istioYaml, serviceYaml, stateOf, translate, translatedOf, unpack } from '../support/translate.ts'

const host = 'reviews.default.svc.cluster.local'
const name = `outbound|9080||${host}`
const rule = (spec: string, named = 'reviews', more = '') =>
  istioYaml('DestinationRule', named, `{ host: reviews, ${spec} }`, more)
const policy = (spec: string, view: Parameters<typeof translate>[1] = {}) =>
  translate(serviceYaml('reviews') + rule(`trafficPolicy: { ${spec} }`), view).cluster(name)

test("without a rule a cluster has Istio's defaults", () => {
  const cluster = translate(serviceYaml('reviews')).cluster(name)
  assert.deepEqual(cluster.clusterDiscoveryType, { case: 'type', value: DiscoveryType.EDS })
  assert.equal(cluster.edsClusterConfig?.serviceName, name)
  assert.equal(cluster.edsClusterConfig?.edsConfig?.configSourceSpecifier.case, 'ads')
  assert.equal(cluster.connectTimeout && durationMs(cluster.connectTimeout), 10_000)
  assert.equal(cluster.commonLbConfig?.healthyPanicThreshold?.value, 0)
  assert.equal(cluster.outlierDetection, undefined)
  const [thresholds] = cluster.circuitBreakers?.thresholds ?? []
  const unlimited = 2 ** 32 - 1
  assert.equal(thresholds?.maxConnections, unlimited)
  assert.equal(thresholds?.maxPendingRequests, unlimited)
  assert.equal(thresholds?.maxRequests, unlimited)
  assert.equal(thresholds?.maxRetries, unlimited)
})

test('telemetry finds service and subset in the metadata', () => {
  const translated = translate(serviceYaml('reviews') + rule('subsets: [{ name: v1, labels: { version: v1 } }]'))
  assert.deepEqual(translated.cluster(`outbound|9080|v1|${host}`).metadata?.filterMetadata.istio, {
    services: [{ host, name: 'reviews', namespace: 'default' }],
    subset: 'v1',
  })
})

test('least request comes first, and second what every client of gRPC knows', () => {
  const cluster = translate(serviceYaml('reviews')).cluster(name)
  const listed = cluster.loadBalancingPolicy?.policies.map(({ typedExtensionConfig }) => typedExtensionConfig?.name)
  assert.deepEqual(listed, ['envoy.load_balancing_policies.least_request', 'envoy.load_balancing_policies.round_robin'])
  assert.equal(cluster.lbPolicy, LbPolicy.ROUND_ROBIN)
  const forEnvoy = translate(serviceYaml('reviews'), { kind: 'envoy' }).cluster(name)
  assert.equal(forEnvoy.lbPolicy, LbPolicy.LEAST_REQUEST)
  assert.equal(forEnvoy.loadBalancingPolicy, undefined)
})

test('shares of localities are a policy around the balancer, for clients without proxy', () => {
  const distribute = 'distribute: [{ from: "*", to: { "us/*": 80, "eu/*": 20 } }]'
  const [outer, ...others] = policy(`loadBalancer: { localityLbSetting: { ${distribute} } }`).loadBalancingPolicy?.policies ?? []
  assert.deepEqual(others, [])
  const { typedConfig } = outer?.typedExtensionConfig ?? {}
  const wrrLocality = unpack(typedConfig, WrrLocalitySchema)
  const inner = wrrLocality.endpointPickingPolicy?.policies.map(({ typedExtensionConfig }) => typedExtensionConfig?.name)
  assert.deepEqual(inner, ['envoy.load_balancing_policies.least_request', 'envoy.load_balancing_policies.round_robin'])
})

test('the ring that stands in for a table names its hash function', () => {
  const maglev = 'consistentHash: { httpHeaderName: x, maglev: { tableSize: 101 } }'
  const [, second] = policy(`loadBalancer: { ${maglev} }`).loadBalancingPolicy?.policies ?? []
  const { typedConfig } = second?.typedExtensionConfig ?? {}
  assert.equal(unpack(typedConfig, RingHashSchema).hashFunction, HashFunction.XX_HASH)
})

test('every balancer is translated', () => {
  const lbPolicy = (spec: string) => policy(`loadBalancer: { ${spec} }`, { kind: 'envoy' }).lbPolicy
  assert.equal(lbPolicy('simple: ROUND_ROBIN'), LbPolicy.ROUND_ROBIN)
  assert.equal(lbPolicy('simple: RANDOM'), LbPolicy.RANDOM)
  assert.equal(lbPolicy('simple: LEAST_CONN'), LbPolicy.LEAST_REQUEST)
  assert.equal(lbPolicy('consistentHash: { httpHeaderName: x }'), LbPolicy.RING_HASH)
  assert.equal(lbPolicy('consistentHash: { useSourceIp: true, maglev: { tableSize: 101 } }'), LbPolicy.MAGLEV)
  const ring = policy('loadBalancer: { consistentHash: { httpHeaderName: x, ringHash: { minimumRingSize: 99 } } }').lbConfig
  assert.equal(ring.case === 'ringHashLbConfig' && ring.value.minimumRingSize, 99n)
  const warm = policy(
    'loadBalancer: { simple: ROUND_ROBIN, warmup: { duration: 1m, minimumPercent: 20, aggression: 2 } }',
  ).lbConfig
  assert.equal(warm.case === 'roundRobinLbConfig' && warm.value.slowStartConfig?.aggression?.defaultValue, 2)
})

test('connection pools become thresholds, timeouts and protocol options', () => {
  const cluster = policy(
    'connectionPool: { tcp: { maxConnections: 1, connectTimeout: 3s, idleTimeout: 9s }, http: { http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4, maxRequestsPerConnection: 5, idleTimeout: 40s } }',
  )
  const [thresholds] = cluster.circuitBreakers?.thresholds ?? []
  assert.equal(thresholds?.maxConnections, 1)
  assert.equal(thresholds?.maxPendingRequests, 2)
  assert.equal(thresholds?.maxRequests, 3)
  assert.equal(thresholds?.maxRetries, 4)
  assert.equal(cluster.connectTimeout && durationMs(cluster.connectTimeout), 3000)
  const options = unpack(Object.values(cluster.typedExtensionProtocolOptions)[0], HttpProtocolOptionsSchema)
  assert.equal(options.commonHttpProtocolOptions?.maxRequestsPerConnection, 5)
  assert.equal(
    options.commonHttpProtocolOptions?.idleTimeout && durationMs(options.commonHttpProtocolOptions.idleTimeout),
    40_000,
  )
})

test('gRPC ports, and those that are upgraded, are spoken to in HTTP/2', () => {
  const isHttp2 = (yaml: string, cluster: string) => {
    const [any] = Object.values(translate(yaml).cluster(cluster).typedExtensionProtocolOptions)
    if (!any) return false
    const { upstreamProtocolOptions: options } = unpack(any, HttpProtocolOptionsSchema)
    return options.case === 'explicitHttpConfig' && options.value.protocolConfig.case === 'http2ProtocolOptions'
  }
  assert.equal(isHttp2(serviceYaml('reviews'), name), false)
  assert.equal(isHttp2(serviceYaml('reviews', '[{ name: grpc-api, port: 9080 }]'), name), true)
  assert.equal(isHttp2(serviceYaml('reviews', '[{ port: 9080, appProtocol: kubernetes.io/h2c }]'), name), true)
  const upgraded = rule('trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } }')
  assert.equal(isHttp2(serviceYaml('reviews') + upgraded, name), true)
})

test('outlier detection never ejects by success rate, and sets the panic threshold', () => {
  const cluster = policy(
    'outlierDetection: { consecutive5xxErrors: 3, consecutiveGatewayErrors: 0, interval: 1s, minHealthPercent: 30 }',
  )
  const { outlierDetection } = cluster
  assert.equal(outlierDetection?.consecutive5xx, 3)
  assert.equal(outlierDetection?.enforcingConsecutive5xx, 100)
  assert.equal(outlierDetection?.enforcingConsecutiveGatewayFailure, 0)
  assert.equal(outlierDetection?.enforcingSuccessRate, 0)
  assert.equal(outlierDetection?.maxEjectionPercent, undefined)
  assert.equal(cluster.commonLbConfig?.healthyPanicThreshold?.value, 30)
})

test('settings of a port replace those of the rule, those of a subset change them one by one', () => {
  const yaml =
    serviceYaml('reviews', '[{ name: http, port: 9080 }, { name: grpc, port: 7000 }]') +
    rule(`trafficPolicy: { connectionPool: { tcp: { maxConnections: 1, connectTimeout: 3s } }, outlierDetection: {}, portLevelSettings: [{ port: { number: 7000 }, loadBalancer: { simple: RANDOM } }] },
      subsets: [{ name: v1 }, { name: v2, trafficPolicy: { connectionPool: { tcp: { maxConnections: 2 } } } }]`)
  const translated = translate(yaml, { kind: 'envoy' })
  const seen = (cluster: string) => {
    const { circuitBreakers, outlierDetection, lbPolicy, connectTimeout } = translated.cluster(`outbound|${cluster}|${host}`)
    const connections = circuitBreakers?.thresholds[0]?.maxConnections
    return { connections, outliers: outlierDetection !== undefined, lbPolicy, ms: connectTimeout && durationMs(connectTimeout) }
  }
  const unlimited = 2 ** 32 - 1
  const { LEAST_REQUEST, RANDOM } = LbPolicy
  assert.deepEqual(seen('9080|v1'), { connections: 1, outliers: true, lbPolicy: LEAST_REQUEST, ms: 3000 })
  assert.deepEqual(seen('9080|v2'), { connections: 2, outliers: true, lbPolicy: LEAST_REQUEST, ms: 10_000 })
  assert.deepEqual(seen('7000|'), { connections: unlimited, outliers: false, lbPolicy: RANDOM, ms: 10_000 })
  assert.deepEqual(seen('7000|v2'), { connections: 2, outliers: false, lbPolicy: RANDOM, ms: 10_000 })
})

test('of two rules on one host the subsets add up and the first traffic policy counts', () => {
  const yaml =
    serviceYaml('reviews') +
    rule('trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [{ name: v2 }]', 'b') +
    rule('trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }, subsets: [{ name: v1 }]', 'a')
  const translated = translate(yaml, { kind: 'envoy' })
  assert.equal(translated.cluster(name).lbPolicy, LbPolicy.ROUND_ROBIN)
  assert.deepEqual(
    translated.names('clusters'),
    ['', 'v1', 'v2'].map(subset => `outbound|9080|${subset}|${host}`),
  )
})

test("the caller's namespace rules before the service's, and a rule for some callers concerns them alone", () => {
  const far = istioYaml(
    'DestinationRule',
    'far',
    `{ host: ${host}, trafficPolicy: { loadBalancer: { simple: RANDOM } } }`,
    ', namespace: shop',
  )
  const some = rule(
    'workloadSelector: { matchLabels: { app: web } }, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }',
    'some',
  )
  const yaml = serviceYaml('reviews') + far + some
  const lbPolicy = (view: Parameters<typeof translate>[1]) => translate(yaml, { kind: 'envoy', ...view }).cluster(name).lbPolicy
  assert.equal(lbPolicy({ namespace: 'shop' }), LbPolicy.RANDOM)
  assert.equal(lbPolicy({}), LbPolicy.LEAST_REQUEST)
  assert.equal(lbPolicy({ labels: { app: 'web' } }), LbPolicy.ROUND_ROBIN)
  const everybodys = istioYaml(
    'DestinationRule',
    'all',
    '{ host: "*", trafficPolicy: { loadBalancer: { simple: RANDOM } } }',
    ', namespace: istio-system',
  )
  const own = rule('trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }')
  for (const namespace of ['default', 'other', 'istio-system'])
    assert.equal(
      translate(serviceYaml('reviews') + everybodys + own, { kind: 'envoy', namespace }).cluster(name).lbPolicy,
      LbPolicy.ROUND_ROBIN,
      namespace,
    )
  // Labels select among the callers of the rule's own namespace.
  assert.equal(lbPolicy({ namespace: 'other', labels: { app: 'web' } }), LbPolicy.LEAST_REQUEST)
})

test('a port has no retry budget of its own, and that of the rule only below a subset', () => {
  const budget = (percent: number) => `retryBudget: { percent: ${percent} }`
  const ports = 'portLevelSettings: [{ port: { number: 9080 }, loadBalancer: { simple: RANDOM } }]'
  const percentOf = (spec: string, subset = '') =>
    translate(serviceYaml('reviews') + rule(spec)).cluster(`outbound|9080|${subset}|${host}`).circuitBreakers?.thresholds[0]
      ?.retryBudget?.budgetPercent?.value
  const subset = (policy: string) => `subsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { ${policy} } }]`
  assert.equal(percentOf(`trafficPolicy: { ${budget(30)} }`), 30)
  assert.equal(percentOf(`trafficPolicy: { ${budget(30)}, ${ports} }`), undefined)
  assert.equal(percentOf(`trafficPolicy: { ${budget(30)} }, ${subset(budget(40))}`, 'v1'), 40)
  assert.equal(percentOf(`trafficPolicy: { ${budget(30)} }, ${subset(`${budget(40)}, ${ports}`)}`, 'v1'), 30)
  assert.equal(percentOf(`trafficPolicy: { ${budget(30)}, ${ports} }, ${subset('outlierDetection: {}')}`, 'v1'), undefined)
})

/** Who must answer. */
function namesOf({ transportSocket }: Cluster): readonly unknown[] | undefined {
  const { commonTlsContext } = unpack(transportSocket?.configType.value, UpstreamTlsContextSchema)
  const validation = commonTlsContext?.validationContextType
  const value = validation?.case === 'validationContext' ? validation.value : undefined
  return value?.matchTypedSubjectAltNames.map(({ matcher }) => matcher?.matchPattern.value)
}

test('tls SIMPLE verifies the peer, by the names given or by the host', () => {
  const context = (spec: string, view: Parameters<typeof translate>[1] = {}) => {
    const { transportSocket } = policy(`tls: { mode: SIMPLE${spec} }`, view)
    const { sni, commonTlsContext } = unpack(transportSocket?.configType.value, UpstreamTlsContextSchema)
    const validation = commonTlsContext?.validationContextType
    assert.equal(validation?.case, 'validationContext')
    const value = validation?.case === 'validationContext' ? validation.value : undefined
    const names = value?.matchTypedSubjectAltNames.map(({ matcher }) => matcher?.matchPattern.value)
    return { sni, names, ca: value?.trustedCa?.specifier.value, system: value?.systemRootCerts !== undefined }
  }
  assert.deepEqual(context(''), { sni: host, names: [host], ca: undefined, system: true })
  assert.deepEqual(context(', sni: a.com, subjectAltNames: [b.com], caCertificates: /ca.pem'), {
    sni: 'a.com',
    names: ['b.com'],
    ca: '/ca.pem',
    system: false,
  })
  assert.equal(context('', { kind: 'envoy' }).ca, '/etc/ssl/certs/ca-certificates.crt')
  const entry = (subjectAltNames: string) =>
    istioYaml(
      'ServiceEntry',
      'e',
      `{ hosts: [api.test], ports: [{ number: 443, name: https, protocol: HTTP }], resolution: DNS, subjectAltNames: ${subjectAltNames} }`,
    )
  const named = (subjectAltNames: string, spec: string) =>
    namesOf(
      translate(
        entry(subjectAltNames) +
          istioYaml('DestinationRule', 'd', `{ host: api.test, trafficPolicy: { tls: { mode: SIMPLE${spec} } } }`),
      ).cluster('outbound|443||api.test'),
    )
  assert.deepEqual(named('[]', ''), ['api.test'])
  assert.deepEqual(named('[a.test, b.test]', ''), ['a.test', 'b.test'], 'those of the ServiceEntry')
  assert.deepEqual(named('[a.test]', ', subjectAltNames: [c.test]'), ['c.test'])
  assert.equal(policy('tls: { mode: DISABLE }').transportSocket, undefined)
})

test('mutual TLS expects the account of the service’s name, and those that its workloads say they run under', () => {
  const mutual = (target: string) =>
    istioYaml('DestinationRule', 'd', `{ host: ${target}, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }`)
  const workload = (named: string, account: string, more = '') =>
    istioYaml(
      'WorkloadEntry',
      named,
      `{ address: 10.0.0.${named.length}, labels: { app: reviews }, serviceAccount: ${account} }`,
      more,
    )
  const ids = (...accounts: readonly string[]) => accounts.map(account => `spiffe://cluster.local/ns/default/sa/${account}`)
  const entries =
    workload('a', 'vm') + workload('bb', 'vm') + workload('ccc', 'other') + workload('dddd', 'far', ', namespace: far')
  const reviews = translate(serviceYaml('reviews') + entries + mutual('reviews')).cluster(name)
  assert.deepEqual(namesOf(reviews), ids('reviews', 'vm', 'other'))
  const entry = (more: string) =>
    istioYaml(
      'ServiceEntry',
      'e',
      `{ hosts: [api.test], location: MESH_INTERNAL, ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, ${more} }`,
    )
  const api = (yaml: string) => namesOf(translate(yaml + mutual('api.test')).cluster('outbound|80||api.test'))
  assert.deepEqual(api(entry('endpoints: [{ address: 10.0.0.1, serviceAccount: vm }]')), ids('api', 'vm'))
  const selecting = entry('workloadSelector: { labels: { app: reviews } }, subjectAltNames: [a.test]')
  assert.deepEqual(api(selecting + entries), [...ids('api', 'vm', 'other'), 'a.test'])
})

test('tls SIMPLE to a host with a wildcard asks for, and verifies, the host that is called', () => {
  const cluster = (more: string) =>
    translate(
      istioYaml(
        'ServiceEntry',
        'e',
        "{ hosts: ['*.test'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, endpoints: [{ address: 10.0.0.1 }] }",
      ) + istioYaml('DestinationRule', 'd', `{ host: '*.test', trafficPolicy: { tls: { mode: SIMPLE${more} } } }`),
    ).cluster('outbound|80||*.test')
  const options = (more: string) => {
    const any = cluster(more).typedExtensionProtocolOptions['envoy.extensions.upstreams.http.v3.HttpProtocolOptions']
    if (any === undefined) return undefined
    const { autoSni, autoSanValidation } = unpack(any, HttpProtocolOptionsSchema).upstreamHttpProtocolOptions ?? {}
    return { autoSni, autoSanValidation }
  }
  assert.deepEqual(options(''), { autoSni: true, autoSanValidation: true })
  assert.deepEqual(options(', subjectAltNames: [a.test]'), { autoSni: true, autoSanValidation: false })
  assert.equal(options(', sni: a.test'), undefined)
})

test('a host that is looked up is in its cluster, and has no assignment', () => {
  const entry = (resolution: string, more = '') =>
    istioYaml(
      'ServiceEntry',
      'e',
      `{ hosts: [api.test], ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }], resolution: ${resolution}${more} }`,
    )
  const looked = (yaml: string) => {
    const { clusterDiscoveryType, loadAssignment } = translate(yaml).cluster('outbound|80||api.test')
    const addresses = loadAssignment?.endpoints.flatMap(({ lbEndpoints }) =>
      lbEndpoints.map(({ hostIdentifier }) => {
        const at = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
        return at?.case === 'socketAddress' ? `${at.value.address}:${at.value.portSpecifier.value}` : ''
      }),
    )
    return { type: clusterDiscoveryType.value, addresses }
  }
  assert.deepEqual(looked(entry('DNS')), { type: DiscoveryType.STRICT_DNS, addresses: ['api.test:8080'] })
  assert.deepEqual(looked(entry('NONE')), { type: DiscoveryType.LOGICAL_DNS, addresses: ['api.test:8080'] })
  assert.deepEqual(looked(entry('DNS', ', endpoints: [{ address: a.test }, { address: b.test, ports: { http: 81 } }]')), {
    type: DiscoveryType.STRICT_DNS,
    addresses: ['a.test:8080', 'b.test:81'],
  })
  assert.deepEqual(translate(entry('DNS')).names('assignments'), [])
})

test('clients that can report their load to this server, and the others are not asked', () => {
  const clusterFor = (reportsLoad: boolean, loadReporting?: LoadReporting) =>
    translatedOf(stateOf(serviceYaml('reviews'), [], loadReporting), { reportsLoad }).cluster(name)
  const asked = clusterFor(true, { endpointMetrics: ['named_metrics.*'] })
  assert.equal(asked.lrsServer?.configSourceSpecifier.case, 'self')
  assert.deepEqual(asked.lrsReportEndpointMetrics, ['named_metrics.*'])
  assert.equal(clusterFor(true).lrsServer, undefined)
  assert.equal(clusterFor(false, { endpointMetrics: [] }).lrsServer, undefined)
})

test('a proxy cannot report here, and grpc-js-xds could never stop', () => {
  const reports = (userAgentName: string) => viewOf(create(NodeSchema, { userAgentName }))?.reportsLoad
  assert.deepEqual(['inmesh', 'gRPC Go', 'envoy', 'gRPC Node Pure JS'].map(reports), [true, true, false, false])
})
