import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@bufbuild/protobuf'
import { ClusterSchema } from '../../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { resourceTypes } from '../../../src/discovery/resources/decode.ts'
import { decodeGood, errorsOf } from '../../support/resource-errors.ts'

const minimal: JsonObject = { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } } }
const good = (more: JsonObject = {}) => decodeGood(resourceTypes.cluster, ClusterSchema, { ...minimal, ...more })
const errors = (more: JsonObject) => errorsOf(resourceTypes.cluster, ClusterSchema, { ...minimal, ...more })
const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`

test("a cluster that says nothing gets Envoy's defaults", () => {
  const thresholds = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: undefined }
  assert.deepEqual(good(), {
    name: 'c',
    discovery: { kind: 'eds', edsServiceName: 'c' },
    loadBalancing: { kind: 'round-robin', slowStart: undefined },
    commonLb: { healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false },
    connectTimeoutMs: 5000,
    circuitBreakers: { default: thresholds, high: thresholds },
    outlierDetection: undefined,
    overrideHostStatuses: ['unknown', 'healthy', 'degraded'],
    healthCheck: undefined,
    tls: undefined,
    tlsMatches: [],
    http: {
      protocol: 'http1',
      idleTimeoutMs: 3_600_000,
      maxConnectionDurationMs: undefined,
      maxRequestsPerConnection: undefined,
    },
    destination: { service: 'c', version: '' },
    loadReporting: undefined,
  })
})

test('outlier detection that says nothing gets the defaults, and a longer base lengthens the maximum', () => {
  const { outlierDetection } = good({ outlierDetection: { baseEjectionTime: '400s' } })
  assert.ok(outlierDetection)
  assert.deepEqual(
    [outlierDetection.consecutive5xx, outlierDetection.enforcingConsecutiveGatewayFailure, outlierDetection.intervalMs],
    [5, 0, 10_000],
  )
  assert.deepEqual([outlierDetection.maxEjectionTimeMs, outlierDetection.maxEjectionPercent], [400_000, 10])
})

const check = (more: JsonObject = {}): JsonObject => ({
  timeout: '1s',
  interval: '5s',
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  ...more,
})

test('health checks over HTTP, gRPC and TCP are decoded, with intervals that follow from each other', () => {
  const decoded = (more: JsonObject) => good({ healthChecks: [check(more)] }).healthCheck
  assert.deepEqual(decoded({ httpHealthCheck: { path: '/healthz' }, unhealthyInterval: '2s', initialJitter: '1s' }), {
    timeoutMs: 1000,
    intervalMs: 5000,
    unhealthyThreshold: 3,
    healthyThreshold: 2,
    initialJitterMs: 1000,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    noTrafficIntervalMs: 60_000,
    noTrafficHealthyIntervalMs: 60_000,
    unhealthyIntervalMs: 2000,
    unhealthyEdgeIntervalMs: 2000,
    healthyEdgeIntervalMs: 5000,
    reusesConnection: true,
    ignoresNewHosts: false,
    check: {
      kind: 'http',
      host: '',
      path: '/healthz',
      method: 'GET',
      headers: ['user-agent', 'inmesh/health-check'],
      expectedStatuses: [{ start: 200, end: 201 }],
      retriableStatuses: [],
    },
  })
  const initialMetadata = [{ header: { key: 'X-Check', value: 'yes' } }]
  assert.deepEqual(decoded({ grpcHealthCheck: { serviceName: 's', initialMetadata } })?.check, {
    kind: 'grpc',
    service: 's',
    host: '',
    metadata: [{ name: 'x-check', value: 'yes' }],
  })
  assert.deepEqual(decoded({ tcpHealthCheck: { send: { text: '50' }, receive: [{ binary: 'T0s=' }] } })?.check, {
    kind: 'tcp',
    send: '50',
    receive: ['4f4b'],
  })
})

test('a health check sends the headers that it is given', () => {
  const headers = (more: JsonObject) => {
    const decoded = good({ healthChecks: [check({ httpHealthCheck: { path: '/', ...more } })] }).healthCheck?.check
    return decoded?.kind === 'http' ? decoded.headers : undefined
  }
  assert.deepEqual(headers({ requestHeadersToRemove: ['User-Agent'] }), [])
  assert.deepEqual(headers({ requestHeadersToAdd: [{ header: { key: 'User-Agent', value: 'me' } }] }), ['user-agent', 'me'])
  assert.deepEqual(
    errors({
      healthChecks: [check({ httpHealthCheck: { path: '/', requestHeadersToAdd: [{ header: { key: 'a b', value: '' } }] } })],
    }),
    ['health_checks[0].http_health_check.request_headers_to_add[0].header.key: "a b" is not a header name'],
  )
})

test('new hosts count only after their first check where the cluster says so', () => {
  const decoded = good({
    healthChecks: [check({ tcpHealthCheck: {}, reuseConnection: false })],
    commonLbConfig: { ignoreNewHostsUntilFirstHc: true },
  })
  assert.deepEqual([decoded.healthCheck?.ignoresNewHosts, decoded.healthCheck?.reusesConnection], [true, false])
})

test('a health check that cannot be made is refused by its fields', () => {
  assert.deepEqual(errors({ healthChecks: [{ httpHealthCheck: {} }] }), [
    'health_checks[0].timeout: is required',
    'health_checks[0].interval: is required',
    'health_checks[0].unhealthy_threshold: is required',
    'health_checks[0].healthy_threshold: is required',
    'health_checks[0].http_health_check.path: is required',
  ])
  assert.deepEqual(errors({ healthChecks: [check({ customHealthCheck: {} })] }), [
    'health_checks[0]: custom_health_check is not supported',
  ])
  assert.deepEqual(errors({ healthChecks: [check({ tcpHealthCheck: { send: { text: 'xyz' } } }), check()] }), [
    'health_checks: must be one at most, got 2',
    'health_checks[0].tcp_health_check.send.text: must be hexadecimal, got "xyz"',
  ])
})

test('the first DEFAULT threshold wins, not the last', () => {
  const { circuitBreakers } = good({
    circuitBreakers: {
      thresholds: [
        { maxRequests: 1, retryBudget: { budgetPercent: { value: 25 } } },
        { maxRequests: 2 },
        { priority: 'HIGH', maxRequests: 3 },
      ],
    },
  })
  assert.deepEqual([circuitBreakers.default.maxRequests, circuitBreakers.high.maxRequests], [1, 3])
  assert.deepEqual(circuitBreakers.default.retryBudget, { budgetPercent: 25, minRetryConcurrency: 3 })
})

const lb = (...policies: readonly JsonObject[]): JsonObject => ({
  policies: policies.map(typedConfig => ({ typedExtensionConfig: { name: 'x', typedConfig } })),
})
const struct = (typeUrl: string, value: JsonObject = {}): JsonObject => ({
  '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
  typeUrl,
  value,
})

test('load_balancing_policy wins over lb_policy, and of its list the first that is supported', () => {
  const leastRequest = { '@type': type('load_balancing_policies.least_request.v3.LeastRequest'), choiceCount: 3 }
  const { loadBalancing } = good({
    lbPolicy: 'RANDOM',
    loadBalancingPolicy: lb(struct('type.googleapis.com/not.known'), leastRequest, {
      '@type': type('load_balancing_policies.random.v3.Random'),
    }),
  })
  assert.deepEqual(loadBalancing, { kind: 'least-request', choiceCount: 3, activeRequestBias: 1, slowStart: undefined })
})

test('wrr_locality is taken off, and a policy known by name comes as a TypedStruct', () => {
  const { loadBalancing, commonLb } = good({
    loadBalancingPolicy: lb({
      '@type': type('load_balancing_policies.wrr_locality.v3.WrrLocality'),
      endpointPickingPolicy: lb(struct('type.googleapis.com/my_policy'), struct('type.googleapis.com/round_robin')),
    }),
  })
  assert.equal(loadBalancing.kind, 'round-robin')
  assert.equal(commonLb.localityWeighted, true)
})

test("gRPC's own policies come by their names with the fields of a service config (A52)", () => {
  const named = (name: string, value: JsonObject) =>
    good({ loadBalancingPolicy: lb(struct(`type.googleapis.com/${name}`, value)) }).loadBalancing
  assert.deepEqual(named('pick_first', { shuffleAddressList: true }), { kind: 'pick-first', shuffle: true })
  assert.deepEqual(named('pick_first', {}), { kind: 'pick-first', shuffle: false })
  const leastRequest = { kind: 'least-request', choiceCount: 5, activeRequestBias: 1, slowStart: undefined }
  assert.deepEqual(named('least_request_experimental', { choiceCount: 5 }), leastRequest)
  assert.deepEqual(named('ring_hash_experimental', { minRingSize: '10' }), {
    kind: 'ring-hash',
    minimumRingSize: 10,
    maximumRingSize: 4096,
  })
})

test('the deprecated balancers are decoded with their settings', () => {
  assert.deepEqual(good({ lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '10' } }).loadBalancing, {
    kind: 'ring-hash',
    minimumRingSize: 10,
    maximumRingSize: 8_388_608,
  })
  assert.deepEqual(good({ lbPolicy: 'MAGLEV' }).loadBalancing, { kind: 'maglev', tableSize: 65_537 })
  const slow = good({ lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { slowStartConfig: { slowStartWindow: '60s' } } })
  assert.deepEqual(slow.loadBalancing, {
    kind: 'least-request',
    choiceCount: 2,
    activeRequestBias: 1,
    slowStart: { windowMs: 60_000, aggression: 1, minWeightPercent: 10 },
  })
})

test('an aggregate names its clusters', () => {
  const aggregate = {
    name: 'c',
    lbPolicy: 'CLUSTER_PROVIDED',
    clusterType: {
      name: 'aggregate',
      typedConfig: { '@type': type('clusters.aggregate.v3.ClusterConfig'), clusters: ['a', 'b'] },
    },
  }
  const { discovery } = decodeGood(resourceTypes.cluster, ClusterSchema, aggregate)
  assert.deepEqual(discovery, { kind: 'aggregate', clusters: ['a', 'b'] })
})

test('the destination comes from the metadata, else from the name', () => {
  const destination = (more: JsonObject) => good(more).destination
  assert.deepEqual(destination({ name: 'outbound|80|v1|reviews.default.svc.cluster.local' }), {
    service: 'reviews',
    version: 'v1',
  })
  assert.deepEqual(destination({ name: 'outbound|443||api.example.com' }), { service: 'api.example.com', version: '' })
  const metadata = { filterMetadata: { istio: { services: [{ host: 'x.ns.svc.cluster.local', name: 'x', namespace: 'ns' }] } } }
  assert.deepEqual(destination({ name: 'outbound|80|v2|y', metadata }), { service: 'x', version: 'v2' })
})

test('HTTP options come from the extension, else from the deprecated fields', () => {
  const extension = type('upstreams.http.v3.HttpProtocolOptions')
  const options = {
    '@type': extension,
    explicitHttpConfig: { http2ProtocolOptions: {} },
    commonHttpProtocolOptions: { idleTimeout: '0s', maxRequestsPerConnection: 7, maxConnectionDuration: '60s' },
  }
  assert.deepEqual(good({ typedExtensionProtocolOptions: { [extension.slice(20)]: options } }).http, {
    protocol: 'http2',
    idleTimeoutMs: undefined,
    maxConnectionDurationMs: 60_000,
    maxRequestsPerConnection: 7,
  })
  assert.equal(good({ http2ProtocolOptions: {} }).http.protocol, 'http2')
})

const tls = (commonTlsContext: JsonObject, more: JsonObject = {}): JsonObject => ({
  name: 'tls',
  typedConfig: { '@type': type('transport_sockets.tls.v3.UpstreamTlsContext'), sni: 's', commonTlsContext, ...more },
})
const pem = '-----BEGIN CERTIFICATE-----'
const systemRoots = { validationContext: { systemRootCerts: {} } }

test('simple TLS is decoded', () => {
  const { tls: decoded } = good({
    transportSocket: tls({
      tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
      alpnProtocols: ['h2'],
      validationContext: {
        trustedCa: { inlineString: pem },
        matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'reviews' } }],
      },
    }),
  })
  assert.deepEqual(decoded, {
    sni: 's',
    autoHostSni: false,
    autoSni: false,
    autoSniSanValidation: false,
    autoSanValidation: false,
    certificate: undefined,
    trust: { kind: 'inline', ca: pem },
    subjectAltNames: [{ type: 'dns', matcher: { kind: 'exact', value: 'reviews', ignoreCase: false } }],
    alpnProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
  })
})

test('the SNI may be that of the endpoint, and be what the peer is verified by (A101)', () => {
  const { tls: decoded } = good({ transportSocket: tls(systemRoots, { autoHostSni: true, autoSniSanValidation: true }) })
  assert.deepEqual([decoded?.sni, decoded?.autoHostSni, decoded?.autoSniSanValidation], ['s', true, true])
})

test('the SNI and the name in the certificate may be that which is called', () => {
  const names = (more: JsonObject) => {
    const { tls: decoded } = good({ transportSocket: tls(systemRoots), ...more })
    return [decoded?.autoSni, decoded?.autoSanValidation]
  }
  const extension = (upstreamHttpProtocolOptions: JsonObject): JsonObject => ({
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': type('upstreams.http.v3.HttpProtocolOptions'),
        upstreamHttpProtocolOptions,
        explicitHttpConfig: { httpProtocolOptions: {} },
      },
    },
  })
  assert.deepEqual(names(extension({ autoSni: true })), [true, false])
  assert.deepEqual(names(extension({ autoSanValidation: true })), [false, true])
  assert.deepEqual(names({ upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } }), [true, true])
  // It would change nothing.
  assert.deepEqual(names(extension({ overrideAutoSniHeader: 'x-host' })), [false, false])
})

test('provider instances are also read from the fields that are deprecated, which Istio writes (A29)', () => {
  const instance = (instanceName: string) => ({ instanceName, certificateName: 'x' })
  const sourcesOf = (common: JsonObject) => {
    const { tls: decoded } = good({ transportSocket: tls(common) })
    return [decoded?.certificate, decoded?.trust]
  }
  const deprecated = {
    tlsCertificateCertificateProviderInstance: instance('a'),
    combinedValidationContext: {
      defaultValidationContext: { matchSubjectAltNames: [{ exact: 'spiffe://td/x' }] },
      validationContextCertificateProviderInstance: instance('b'),
    },
  }
  const [a, b, c] = ['a', 'b', 'c'].map(name => ({ kind: 'provider', instance: name }))
  assert.deepEqual(sourcesOf(deprecated), [a, b])
  assert.deepEqual(sourcesOf({ ...deprecated, tlsCertificateProviderInstance: instance('c') }), [c, b])
  assert.deepEqual(sourcesOf({ validationContextCertificateProviderInstance: instance('c') }), [undefined, c])
})

test('certificates that are given go before secrets', () => {
  const given = { certificateChain: { inlineString: 'chain' }, privateKey: { inlineString: 'key' } }
  const { tls: decoded } = good({
    transportSocket: tls({ tlsCertificates: [given], tlsCertificateSdsSecretConfigs: [{ name: 'default' }], ...systemRoots }),
  })
  assert.equal(decoded?.certificate?.kind, 'inline')
})

test("the system's roots are trusted where the cluster says so, and names no others (A82)", () => {
  const trust = (validation: JsonObject) => good({ transportSocket: tls(validation) }).tls?.trust
  assert.deepEqual(trust(systemRoots), { kind: 'system' })
  const provided = { systemRootCerts: {}, caCertificateProviderInstance: { instanceName: 'roots' } }
  assert.deepEqual(trust({ validationContext: provided }), { kind: 'provider', instance: 'roots' })
  assert.deepEqual(trust({ validationContext: { systemRootCerts: {}, trustedCa: { inlineString: pem } } }), {
    kind: 'inline',
    ca: pem,
  })
  const combined = (defaultValidationContext: JsonObject) => ({
    combinedValidationContext: { defaultValidationContext, validationContextSdsSecretConfig: { name: 'ROOTCA' } },
  })
  const fetched = { kind: 'provider', instance: 'default' }
  assert.deepEqual(trust(combined({ systemRootCerts: {} })), fetched)
  assert.deepEqual(trust(combined({ trustedCa: { inlineString: pem } })), fetched)
})

test("Istio's automatic mutual TLS is a choice by the metadata of an endpoint", () => {
  const mutual = tls({
    tlsCertificateSdsSecretConfigs: [{ name: 'default' }],
    validationContextSdsSecretConfig: { name: 'ROOTCA' },
  })
  const { tls: otherwise, tlsMatches } = good({
    transportSocketMatches: [
      { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: mutual },
      {
        name: 'tlsMode-disabled',
        match: {},
        transportSocket: {
          name: 'envoy.transport_sockets.raw_buffer',
          typedConfig: struct('type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'),
        },
      },
    ],
  })
  assert.equal(otherwise, undefined)
  assert.deepEqual(
    tlsMatches.map(({ criteria, tls: chosen }) => [criteria, chosen?.certificate, chosen?.trust]),
    [
      [{ tlsMode: 'istio' }, { kind: 'provider', instance: 'default' }, { kind: 'provider', instance: 'default' }],
      [{}, undefined, undefined],
    ],
  )
})

const bad: readonly (readonly [string, JsonObject, readonly string[]])[] = [
  [
    'an SNI of more than 255 bytes (A101)',
    { transportSocket: tls(systemRoots, { sni: 'a'.repeat(256) }) },
    ['transport_socket.sni: must be at most 255 bytes, got 256'],
  ],
  [
    'a policy of gRPC with a wrong field (A52)',
    { loadBalancingPolicy: lb(struct('type.googleapis.com/least_request_experimental', { choiceCount: 'many' })) },
    ['load_balancing_policy.policies[0].typed_extension_config.choiceCount: must be a whole number above 0, got "many"'],
  ],
  [
    'localities weighted around no policy that is known',
    {
      loadBalancingPolicy: lb(
        {
          '@type': type('load_balancing_policies.wrr_locality.v3.WrrLocality'),
          endpointPickingPolicy: lb(struct('type.googleapis.com/my_policy')),
        },
        struct('type.googleapis.com/round_robin'),
      ),
    },
    ['load_balancing_policy.policies[0].typed_extension_config.endpoint_picking_policy: names no policy that is supported'],
  ],
  [
    'several certificates of which one would be chosen',
    {
      transportSocket: tls({
        tlsCertificates: ['a', 'b'].map(text => ({
          certificateChain: { inlineString: text },
          privateKey: { inlineString: text },
        })),
        ...systemRoots,
      }),
    },
    ['transport_socket.common_tls_context.tls_certificates: must be one, got 2'],
  ],
  ...['', ' ', 'text'].map(
    inlineString =>
      [
        `roots that are none: ${JSON.stringify(inlineString)}`,
        { transportSocket: tls({ validationContext: { trustedCa: { inlineString } } }) },
        ['transport_socket.common_tls_context.validation_context.trusted_ca: holds no certificate in PEM'],
      ] as const,
  ),
  [
    'a key that cannot be read, and a chain that is not counted',
    {
      transportSocket: tls({
        tlsCertificates: [
          {
            certificateChain: { inlineString: 'chain' },
            privateKey: { inlineString: 'key' },
            password: { inlineString: 'secret' },
            privateKeyProvider: { providerName: 'x' },
          },
        ],
        validationContext: { systemRootCerts: {}, maxVerifyDepth: 1 },
      }),
    },
    [
      'transport_socket.common_tls_context.validation_context.max_verify_depth: is not supported',
      'transport_socket.common_tls_context.tls_certificates[0].password: is not supported',
      'transport_socket.common_tls_context.tls_certificates[0].private_key_provider: is not supported',
    ],
  ],
  [
    'a name without a port',
    {
      type: 'STRICT_DNS',
      loadAssignment: {
        clusterName: 'c',
        endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: 'a.com', portValue: 0 } } } }] }],
      },
    },
    ['load_assignment: must name a host and a port for each endpoint'],
  ],
  [
    'a resolver of its own',
    {
      type: 'LOGICAL_DNS',
      loadAssignment: {
        clusterName: 'c',
        endpoints: [
          {
            lbEndpoints: [{ endpoint: { address: { socketAddress: { address: 'a.com', portValue: 80, resolverName: 'x' } } } }],
          },
        ],
      },
    },
    ['load_assignment: must not have a resolver_name: the system resolves'],
  ],
  [
    'an SNI from a header',
    { upstreamHttpProtocolOptions: { autoSni: true, overrideAutoSniHeader: 'x-host' } },
    ['upstream_http_protocol_options.override_auto_sni_header: is not supported'],
  ],
  ['no name', { name: '' }, ['name: is required']],
  [
    'EDS from a file',
    { edsClusterConfig: { edsConfig: { path: '/x' } } },
    ['eds_cluster_config.eds_config: must be ads or self, got path'],
  ],
  [
    'an xdstp name without a service',
    { name: 'xdstp://a/b' },
    ['eds_cluster_config.service_name: is required for a cluster with an xdstp: name'],
  ],
  ['a DNS cluster without endpoints', { type: 'STRICT_DNS' }, ['load_assignment: is required']],
  [
    'a logical DNS cluster with no endpoint',
    { type: 'LOGICAL_DNS', loadAssignment: { clusterName: 'c' } },
    ['load_assignment: of a LOGICAL_DNS cluster must hold one locality with one endpoint, got 0 endpoints'],
  ],
  [
    'the balancer of the cluster provider',
    { lbPolicy: 'CLUSTER_PROVIDED' },
    ['lb_policy: must be ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM or MAGLEV, got CLUSTER_PROVIDED'],
  ],
  [
    'the original destination',
    { type: 'ORIGINAL_DST' },
    ['type: must be EDS, STATIC, STRICT_DNS or LOGICAL_DNS, got ORIGINAL_DST'],
  ],
  ['a malformed duration', { connectTimeout: '0s', dnsRefreshRate: '1s' }, ['connect_timeout: must be > 0, got 0s']],
  [
    'percentages out of range',
    { commonLbConfig: { healthyPanicThreshold: { value: 101 } }, outlierDetection: { enforcingConsecutive5xx: 200 } },
    [
      'common_lb_config.healthy_panic_threshold: must be in [0, 100], got 101',
      'outlier_detection.enforcing_consecutive_5xx: must be <= 100, got 200',
    ],
  ],
  [
    'too few choices',
    { lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { choiceCount: 1 } },
    ['least_request_lb_config.choice_count: must be >= 2, got 1'],
  ],
  [
    'a ring that is too large, and the wrong way round',
    { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '20', maximumRingSize: '10' } },
    ['ring_hash_lb_config.minimum_ring_size: must be <= maximum_ring_size, got 20 > 10'],
  ],
  [
    'a table that is no prime',
    { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: '10' } },
    ['maglev_lb_config.table_size: must be a prime <= 5000011, got 10'],
  ],
  [
    'only unknown balancers',
    { loadBalancingPolicy: lb(struct('x/y')) },
    ['load_balancing_policy: names no policy that is supported'],
  ],
  [
    'TLS that would verify nothing',
    { transportSocket: tls({}) },
    ['transport_socket.common_tls_context.validation_context: is required: the peer would not be verified'],
  ],
  [
    'secrets that nobody here can fetch',
    {
      transportSocket: tls({
        tlsCertificateSdsSecretConfigs: [{ name: 'kubernetes://a' }],
        validationContextSdsSecretConfig: { name: 'file-root:/a' },
      }),
    },
    [
      'transport_socket.common_tls_context.validation_context_sds_secret_config.name: "file-root:/a" cannot be fetched: only "ROOTCA" is known',
      'transport_socket.common_tls_context.tls_certificate_sds_secret_configs[0].name: "kubernetes://a" cannot be fetched: only "default" is known',
    ],
  ],
  [
    'a name of a kind that no certificate has, and an accepted stranger',
    {
      transportSocket: tls({
        validationContext: {
          systemRootCerts: {},
          matchTypedSubjectAltNames: [{ matcher: { exact: 'a' } }, { sanType: 'DNS' }],
          trustChainVerification: 'ACCEPT_UNTRUSTED',
        },
      }),
    },
    [
      'transport_socket.common_tls_context.validation_context.trust_chain_verification: is not supported',
      'transport_socket.common_tls_context.validation_context.match_typed_subject_alt_names[0].san_type: must be DNS, URI, EMAIL or IP_ADDRESS, got 0',
      'transport_socket.common_tls_context.validation_context.match_typed_subject_alt_names[1].matcher: is required',
    ],
  ],
  [
    'an unknown transport',
    { transportSocket: { name: 'q', typedConfig: struct('x/quic') } },
    ['transport_socket: "quic" is not supported'],
  ],
]

for (const [title, more, expected] of bad) {
  test(`a cluster is refused for ${title}`, () => assert.deepEqual(errors(more), expected))
}

test('load goes to the server that the cluster came from, or nowhere (gRFC A27)', () => {
  assert.deepEqual(good({ lrsServer: { self: {} } }).loadReporting, { metrics: [] })
  assert.deepEqual(good({ lrsReportEndpointMetrics: ['cpu_utilization'] }).loadReporting, undefined)
  assert.deepEqual(
    good({ lrsServer: { self: {} }, lrsReportEndpointMetrics: ['cpu_utilization', 'eps', 'named_metrics.*'] }).loadReporting,
    {
      metrics: [
        { kind: 'utilization', name: 'cpu_utilization', field: 'cpuUtilization' },
        { kind: 'all', prefix: 'named_metrics.', map: 'namedMetrics' },
      ],
    },
  )
  assert.deepEqual(errors({ lrsServer: { ads: {} } }), ['lrs_server: must be self, got ads'])
  assert.deepEqual(errors({ lrsServer: {} }), ['lrs_server: must be self, got nothing'])
})
