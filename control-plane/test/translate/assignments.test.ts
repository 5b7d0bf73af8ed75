import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { NodeSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { viewOf } from '../../src/translate/view.ts'
import { securityYaml } from '../support/security.ts'
import { istioYaml, serviceYaml, stateOf, translate, translatedOf, workload } from '../support/translate.ts'

const host = 'reviews.default.svc.cluster.local'
const name = `outbound|9080||${host}`
const at = (region: string, zone = '') => ({ locality: { region, zone, subZone: '' } })
const rule = (spec: string) => istioYaml('DestinationRule', 'd', `{ host: reviews, ${spec} }`)

/** `region/zone priority weight: ports` of each group. */
const groups = (translated: ReturnType<typeof translate>, cluster = name) =>
  translated.assignment(cluster).endpoints.map(({ locality, priority, loadBalancingWeight, lbEndpoints }) => {
    const place = [locality?.region, locality?.zone].filter(Boolean).join('/')
    return `${place} ${priority} ${loadBalancingWeight} ${lbEndpoints.length}`
  })

test('endpoints are grouped by locality, which weighs what its endpoints weigh', () => {
  const workloads = [workload(3, at('us')), workload(1, { ...at('eu', 'a'), weight: 5 }), workload(2, at('eu', 'a'))]
  assert.deepEqual(groups(translate(serviceYaml('reviews'), {}, workloads)), ['eu/a 0 6 2', 'us 0 1 1'])
})

test('a subset holds the endpoints with its labels', () => {
  const yaml =
    serviceYaml('reviews') + rule('subsets: [{ name: v1, labels: { version: v1 } }, { name: none, labels: { version: v9 } }]')
  const translated = translate(yaml, {}, [workload(1, { labels: { version: 'v1' } }), workload(2, { labels: { version: 'v2' } })])
  assert.deepEqual(translated.addresses(name), ['10.0.0.1:9080', '10.0.0.2:9080'])
  assert.deepEqual(translated.addresses(`outbound|9080|v1|${host}`), ['10.0.0.1:9080'])
  assert.deepEqual(translated.addresses(`outbound|9080|none|${host}`), [])
})

test('the version of an endpoint is in its metadata', () => {
  const translated = translate(serviceYaml('reviews'), {}, [workload(1, { labels: { version: 'v1' } })])
  const metadata = translated.assignment(name).endpoints[0]?.lbEndpoints[0]?.metadata
  assert.deepEqual(metadata?.filterMetadata, { 'envoy.lb': { version: 'v1' } })
})

test('the locality of a WorkloadEntry may stand in a label', () => {
  const entry = (id: number, labels: string, more = '') =>
    istioYaml('WorkloadEntry', `w${id}`, `{ address: 10.0.1.${id}, labels: { app: reviews, ${labels} }${more} }`)
  const yaml =
    serviceYaml('reviews') +
    entry(1, 'istio-locality: us.a') +
    entry(2, 'topology.istio.io/locality: eu.b.c, istio-locality: us.a') +
    entry(3, 'istio-locality: us.a', ', locality: ap/d')
  assert.deepEqual(groups(translate(yaml)), ['ap/d 0 1 1', 'eu/b 0 1 1', 'us/a 0 1 1'])
})

test('a WorkloadEntry takes mutual TLS when it has an account, or says so, from callers who have an identity', () => {
  const entry = (more: string) =>
    istioYaml('WorkloadEntry', 'w', `{ address: 10.0.1.1, labels: { app: reviews${more.startsWith(',') ? more : ` }, ${more}`} }`)
  const isMutual = (more: string, isIdentified = true, policy = '') => {
    const yaml = serviceYaml('reviews') + entry(more) + policy
    const [endpoint] = translate(yaml, { isIdentified }).assignment(name).endpoints[0]?.lbEndpoints ?? []
    return endpoint?.metadata?.filterMetadata['envoy.transport_socket_match']?.tlsMode === 'istio'
  }
  assert.equal(isMutual('serviceAccount: vm'), true)
  assert.equal(isMutual('serviceAccount: vm', false), false)
  assert.equal(isMutual('weight: 1'), false)
  assert.equal(isMutual(', security.istio.io/tlsMode: istio }'), true)
  assert.equal(isMutual(', security.istio.io/tlsMode: disabled }, serviceAccount: vm'), false)
  const disabled = securityYaml('PeerAuthentication', 'p', '{ mtls: { mode: DISABLE } }')
  assert.equal(isMutual('serviceAccount: vm', true, disabled), false)
})

test('an address that is there twice is named once', () => {
  const translated = translate(serviceYaml('reviews'), {}, [workload(1), workload(2, { address: '10.0.0.1' })])
  assert.deepEqual(translated.addresses(name), ['10.0.0.1:9080'])
})

test('with outlier detection nearer localities come first', () => {
  const yaml = serviceYaml('reviews') + rule('trafficPolicy: { outlierDetection: {} }')
  const workloads = [workload(1, at('us', 'a')), workload(2, at('us', 'b')), workload(3, at('eu'))]
  const from = (region: string, zone: string) => groups(translate(yaml, at(region, zone), workloads))
  assert.deepEqual(from('us', 'a'), ['eu 2 1 1', 'us/a 0 1 1', 'us/b 1 1 1'])
  assert.deepEqual(from('eu', ''), ['eu 0 1 1', 'us/a 1 1 1', 'us/b 1 1 1'])
  assert.deepEqual(groups(translate(serviceYaml('reviews'), at('us', 'a'), workloads)), ['eu 0 1 1', 'us/a 0 1 1', 'us/b 0 1 1'])
})

test('nearer localities come first among endpoints that are looked up, too', () => {
  const entry = (resolution: string, endpoints: string) =>
    istioYaml(
      'ServiceEntry',
      'e',
      `{ hosts: [api.test], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: ${resolution}, endpoints: [${endpoints}] }`,
    ) + istioYaml('DestinationRule', 'd', '{ host: api.test, trafficPolicy: { outlierDetection: {} } }')
  const places = (yaml: string) =>
    translate(yaml, at('us', 'a'))
      .cluster('outbound|80||api.test')
      .loadAssignment?.endpoints.map(({ locality, priority }) => `${locality?.region}/${locality?.zone} ${priority}`)
  const [far, near] = ['{ address: a.test, locality: eu/a }', '{ address: b.test, locality: us/a }']
  assert.deepEqual(places(entry('DNS', `${far}, ${near}`)), ['eu/a 1', 'us/a 0'])
  assert.deepEqual(places(entry('DNS', far)), ['eu/a 0'])
  assert.deepEqual(places(entry('DNS_ROUND_ROBIN', far)), ['eu/a 0'])
})

test('failover names the region that comes next', () => {
  const setting = 'loadBalancer: { localityLbSetting: { failover: [{ from: us, to: ap }] } }'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { outlierDetection: {}, ${setting} }`)
  const workloads = [workload(1, at('us')), workload(2, at('eu')), workload(3, at('ap'))]
  const translated = translate(yaml, at('us'), workloads)
  assert.deepEqual(groups(translated), ['ap 1 1 1', 'eu 2 1 1', 'us 0 1 1'])
  assert.equal(translated.cluster(name).commonLbConfig?.localityConfigSpecifier.case, 'localityWeightedLbConfig')
})

test('failoverPriority compares labels in order', () => {
  const setting = 'loadBalancer: { localityLbSetting: { failoverPriority: [version, "tier=gold"] } }'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { outlierDetection: {}, ${setting} }`)
  const workloads = [
    workload(1, { labels: { version: 'v1', tier: 'gold' } }),
    workload(2, { labels: { version: 'v1', tier: 'tin' } }),
    workload(3, { labels: { version: 'v2', tier: 'gold' } }),
  ]
  const translated = translate(yaml, { labels: { version: 'v1' } }, workloads)
  assert.deepEqual(groups(translated), [' 0 1 1', ' 1 1 1', ' 2 1 1'])
  assert.deepEqual(translated.addresses(name), ['10.0.0.1:9080', '10.0.0.2:9080', '10.0.0.3:9080'])
})

test('failoverPriority and subsets speak of localities by the labels that Kubernetes has for them', () => {
  const labels = '[topology.kubernetes.io/region, topology.kubernetes.io/zone, topology.istio.io/subzone]'
  const setting = `loadBalancer: { localityLbSetting: { failoverPriority: ${labels} } }`
  const subsets = 'subsets: [{ name: us, labels: { topology.kubernetes.io/region: us } }]'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { outlierDetection: {}, ${setting} }, ${subsets}`)
  const entry = (id: number, locality: string) =>
    istioYaml('WorkloadEntry', `w${id}`, `{ address: 10.0.1.${id}, labels: { app: reviews }, locality: ${locality} }`)
  const workloads = [workload(1, at('us', 'a')), workload(2, at('us', 'b')), workload(3, at('eu', 'a'))]
  const caller = viewOf(create(NodeSchema, { userAgentName: 'inmesh', locality: { region: 'us', zone: 'a' } }))
  const translated = translate(yaml + entry(1, 'us/b') + entry(2, 'eu/b'), caller, workloads)
  assert.deepEqual(groups(translated), ['eu/a 2 1 1', 'eu/b 2 1 1', 'us/a 0 1 1', 'us/b 1 2 2'])
  const ofSubset = translated.addresses(`outbound|9080|us|${host}`)
  assert.deepEqual(ofSubset, ['10.0.0.1:9080', '10.0.1.1:9080', '10.0.0.2:9080'])
})

test('failoverPriority puts other networks last where they come first, and in order', () => {
  const setting = 'loadBalancer: { localityLbSetting: { failoverPriority: [topology.istio.io/network, version] } }'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { outlierDetection: {}, ${setting} }`)
  const on = (id: number, network: string, version: string) =>
    workload(id, { ...at(`${id}`), labels: { 'topology.istio.io/network': network, version } })
  const workloads = [on(1, 'n1', 'v1'), on(2, 'n1', 'v2'), on(3, 'n2', 'v1'), on(4, 'n2', 'v2')]
  const caller = { labels: { 'topology.istio.io/network': 'n1', version: 'v1' } }
  assert.deepEqual(groups(translate(yaml, caller, workloads)), ['1 0 1 1', '2 1 1 1', '3 2 1 1', '4 3 1 1'])
})

test('failover sorts within what failoverPriority sorted first', () => {
  const setting = 'loadBalancer: { localityLbSetting: { failoverPriority: [version], failover: [{ from: us, to: ap }] } }'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { outlierDetection: {}, ${setting} }`)
  const workloads = [
    workload(1, { ...at('us'), labels: { version: 'v2' } }),
    workload(2, { ...at('eu'), labels: { version: 'v1' } }),
    workload(3, { ...at('ap'), labels: { version: 'v1' } }),
  ]
  const translated = translate(yaml, { ...at('us'), labels: { version: 'v1' } }, workloads)
  assert.deepEqual(groups(translated), ['ap 0 1 1', 'eu 1 1 1', 'us 2 1 1'])
})

test('distribute shares out by locality, and leaves out who has no share', () => {
  const setting = 'loadBalancer: { localityLbSetting: { distribute: [{ from: "us/*", to: { "us/a": 70, "eu/*": 30 } }] } }'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { ${setting} }`)
  const workloads = [
    workload(1, at('us', 'a')),
    workload(2, at('us', 'b')),
    workload(3, at('eu', 'a')),
    workload(4, { ...at('eu', 'b'), weight: 2 }),
  ]
  assert.deepEqual(groups(translate(yaml, at('us', 'a'), workloads)), ['eu/a 0 10 1', 'eu/b 0 20 1', 'us/a 0 70 1'])
  assert.deepEqual(groups(translate(yaml, at('eu', 'a'), workloads)), ['eu/a 0 1 1', 'eu/b 0 2 1', 'us/a 0 1 1', 'us/b 0 1 1'])
})

test('a locality that is switched off makes no difference', () => {
  const setting = 'loadBalancer: { localityLbSetting: { enabled: false } }'
  const yaml = serviceYaml('reviews') + rule(`trafficPolicy: { outlierDetection: {}, ${setting} }`)
  assert.deepEqual(groups(translate(yaml, at('us'), [workload(1, at('us')), workload(2, at('eu'))])), ['eu 0 1 1', 'us 0 1 1'])
})

test('a change of endpoints leaves everything else as it was, to the object', () => {
  const yaml = serviceYaml('reviews') + serviceYaml('ratings')
  const other = workload(9, { service: 'ratings' })
  const state = stateOf(yaml, [workload(1), other])
  const before = translatedOf(state)
  assert.equal(state.setWorkloads([workload(1), other, workload(2)]), true)
  const after = translatedOf(state)
  assert.notEqual(after.assignment(name), before.assignment(name))
  const ratings = 'outbound|9080||ratings.default.svc.cluster.local'
  assert.equal(after.assignment(ratings), before.assignment(ratings))
  assert.equal(after.cluster(name), before.cluster(name))
  assert.equal(after.routeConfiguration(name), before.routeConfiguration(name))
  assert.equal(after.listener('reviews'), before.listener('reviews'))
})
