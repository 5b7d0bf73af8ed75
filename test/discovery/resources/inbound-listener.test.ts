import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@bufbuild/protobuf'
import { ListenerSchema } from '../../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import type { InboundListener } from '../../../src/discovery/model/inbound-listener.ts'
import type { Listener } from '../../../src/discovery/model/listener.ts'
import { resourceTypesOf } from '../../../src/discovery/resources/decode.ts'
import { decodeGood, errorsOf } from '../../support/resource-errors.ts'

const { listener } = resourceTypesOf({ isInbound: () => true, isForGrpc: false })
const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`
const router = { name: 'router', typedConfig: { '@type': type('filters.http.router.v3.Router') } }
const byRds: JsonObject = { rds: { routeConfigName: 'r', configSource: { ads: {} } } }
const hcm = (more: JsonObject = {}, routes = byRds): JsonObject => ({
  name: 'hcm',
  typedConfig: {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    ...routes,
    httpFilters: [router],
    ...more,
  },
})
const chain = (more: JsonObject = {}): JsonObject => ({ filters: [hcm()], ...more })
const server = (more: JsonObject = {}): JsonObject => ({
  name: 's',
  address: { socketAddress: { address: '0.0.0.0', portValue: 8080 } },
  filterChains: [chain()],
  ...more,
})
const tls = (commonTlsContext: JsonObject | undefined, more: JsonObject = {}): JsonObject => ({
  transportSocket: {
    name: 'tls',
    typedConfig: {
      '@type': type('transport_sockets.tls.v3.DownstreamTlsContext'),
      ...(commonTlsContext === undefined ? {} : { commonTlsContext }),
      ...more,
    },
  },
})
const provided = { tlsCertificateProviderInstance: { instanceName: 'default' } }
const match = (...matches: JsonObject[]): JsonObject => ({
  filterChains: matches.map(filterChainMatch => chain({ filterChainMatch })),
})

function good(more: JsonObject): InboundListener {
  const decoded: Listener | InboundListener = decodeGood(listener, ListenerSchema, server(more))
  assert.ok('filterChains' in decoded)
  return decoded
}

test('a server has the address of its listener, and mutual TLS by provider instances (A29, A36)', () => {
  const validationContext = { caCertificateProviderInstance: { instanceName: 'roots' } }
  const secured = chain(tls({ ...provided, validationContext }, { requireClientCertificate: true }))
  const { address, filterChains, defaultFilterChain } = good({ filterChains: [], defaultFilterChain: secured })
  assert.deepEqual([address, filterChains], [{ address: '0.0.0.0', port: 8080 }, []])
  assert.deepEqual(defaultFilterChain?.tls, {
    certificate: { kind: 'provider', instance: 'default' },
    trust: { kind: 'provider', instance: 'roots' },
    requiresClientCertificate: true,
    subjectAltNames: [],
    minVersion: undefined,
    maxVersion: 'TLSv1.3',
  })
})

test('a listener that Istio makes for servers of gRPC is taken: its virtual host has no name, its TLS context the deprecated fields too', () => {
  const instance = { instanceName: 'default', certificateName: 'ROOTCA' }
  const commonTlsContext = {
    tlsCertificateProviderInstance: instance,
    tlsCertificateCertificateProviderInstance: instance,
    combinedValidationContext: {
      defaultValidationContext: { caCertificateProviderInstance: instance },
      validationContextCertificateProviderInstance: instance,
    },
  }
  const routeConfig = {
    name: 'inbound',
    virtualHosts: [{ domains: ['*'], routes: [{ match: { prefix: '/' }, nonForwardingAction: {} }] }],
  }
  const filters = [hcm({}, { routeConfig })]
  const [found] = good({ filterChains: [{ filters, ...tls(commonTlsContext, { requireClientCertificate: true }) }] }).filterChains
  assert.deepEqual([found?.tls?.certificate, found?.tls?.trust], Array(2).fill({ kind: 'provider', instance: 'default' }))
  assert.equal(found?.http.routes.kind, 'inline')
})

test('a certificate without a validation context asks nobody for one (A29)', () => {
  const [found] = good({ filterChains: [chain(tls(provided))] }).filterChains
  assert.deepEqual([found?.tls?.trust, found?.tls?.requiresClientCertificate], [undefined, false])
})

test('chains that match what servers cannot see never match (A36)', () => {
  const unseen = [
    { destinationPort: 80 },
    { serverNames: ['a'] },
    { applicationProtocols: ['h2'] },
    { transportProtocol: 'quic' },
  ]
  const seen = [{}, { transportProtocol: 'raw_buffer' }, { transportProtocol: 'tls' }, { sourcePorts: [1] }]
  const { filterChains } = good(match(...unseen, ...seen))
  assert.deepEqual(
    filterChains.map(found => found.match.isUnsupported),
    [true, true, true, true, false, false, false, false],
  )
})

const range = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen })
const bad: readonly (readonly [string, JsonObject, readonly string[]])[] = [
  ['no address (A36)', { address: {} }, ['address: is required']],
  ['an address that is none of TCP', { address: { pipe: { path: '/x' } } }, ['address: must be a socket_address, got pipe']],
  ['no chains', { filterChains: [] }, ['filter_chains: must not be empty']],
  [
    'chains of which none can match',
    match({ serverNames: ['a'] }, { destinationPort: 80 }),
    ['filter_chains: have none that a connection could match'],
  ],
  ['what is for clients', { apiListener: {} }, ['api_listener: is for clients, not for servers']],
  ['listener filters (A36)', { listenerFilters: [{ name: 'x' }] }, ['listener_filters: are not supported']],
  ['the original destination', { useOriginalDst: true }, ['use_original_dst: is not supported']],
  [
    'no HttpConnectionManager',
    { filterChains: [{ filters: [] }] },
    ['filter_chains[0].filters: must be one HttpConnectionManager, got 0 filters'],
  ],
  [
    'another network filter',
    { filterChains: [{ filters: [{ name: 'x', typedConfig: { '@type': type('filters.http.router.v3.Router') } }] }] },
    ['filter_chains[0].filters[0]: must be an HttpConnectionManager, got "envoy.extensions.filters.http.router.v3.Router"'],
  ],
  [
    'addresses of callers that anybody could claim (A41)',
    { filterChains: [{ filters: [hcm({ xffNumTrustedHops: 1, originalIpDetectionExtensions: [{ name: 'x' }] })] }] },
    [
      'filter_chains[0].filters[0].xff_num_trusted_hops: must be 0',
      'filter_chains[0].filters[0].original_ip_detection_extensions: are not supported',
    ],
  ],
  [
    'no router (A39)',
    { filterChains: [{ filters: [hcm({ httpFilters: [] })] }] },
    ['filter_chains[0].filters[0].http_filters: must end with the router'],
  ],
  [
    'addresses that are none',
    match({ prefixRanges: [range('a', 8)] }, { sourcePrefixRanges: [range('10.0.0.0', 33)] }),
    [
      'filter_chains[0].filter_chain_match.prefix_ranges[0].address_prefix: must be an IP address, got "a"',
      'filter_chains[1].filter_chain_match.source_prefix_ranges[0].prefix_len: must be <= 32, got 33',
    ],
  ],
  [
    'two chains for the same connections, however their ranges are written (A36)',
    match(
      { prefixRanges: [range('192.168.1.1', 12)] },
      { prefixRanges: [range('10.0.0.0', 8), range('192.174.2.2', 12)] },
      { sourcePrefixRanges: [range('::1', 128)], sourcePorts: [1, 2] },
      { sourcePrefixRanges: [range('0:0:0:0:0:0:0:1', 128)], sourcePorts: [2] },
    ),
    [
      'filter_chains[1].filter_chain_match: is the same as that of filter_chains[0]',
      'filter_chains[3].filter_chain_match: is the same as that of filter_chains[2]',
    ],
  ],
  [
    'TLS that says nothing',
    { filterChains: [chain(tls(undefined))] },
    ['filter_chains[0].transport_socket.common_tls_context: is required'],
  ],
  [
    'TLS without a certificate',
    { filterChains: [chain(tls({}))] },
    [
      'filter_chains[0].transport_socket.common_tls_context: a server needs a certificate: tls_certificates or tls_certificate_provider_instance',
    ],
  ],
  [
    'callers whom nobody can verify (A29)',
    { filterChains: [chain(tls(provided, { requireClientCertificate: true }))] },
    ['filter_chains[0].transport_socket.require_client_certificate: needs a validation context: nobody could be verified'],
  ],
  [
    "the system's roots (A82)",
    { filterChains: [chain(tls({ ...provided, validationContext: { systemRootCerts: {} } }))] },
    [
      'filter_chains[0].transport_socket.common_tls_context.validation_context: must name its roots: everybody with a public certificate would be let in',
    ],
  ],
  [
    'what asks more of callers than is asked here (A29)',
    { filterChains: [chain(tls(provided, { requireSni: true, ocspStaplePolicy: 'MUST_STAPLE' }))] },
    [
      'filter_chains[0].transport_socket.require_sni: is not supported',
      'filter_chains[0].transport_socket.ocsp_staple_policy: must be LENIENT_STAPLING: nothing else is supported',
    ],
  ],
  [
    'another transport socket',
    { defaultFilterChain: chain({ transportSocket: { name: 'x', typedConfig: router.typedConfig } }) },
    ['default_filter_chain.transport_socket: "envoy.extensions.filters.http.router.v3.Router" is not supported'],
  ],
]

for (const [what, more, expected] of bad) {
  test(`a listener of a server is refused for ${what}`, () => {
    assert.deepEqual(errorsOf(listener, ListenerSchema, server(more)), expected)
  })
}
