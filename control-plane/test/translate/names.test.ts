import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { NodeSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { HttpConnectionManagerSchema } from 'inmesh/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb'
import { viewKey, viewOf } from '../../src/translate/view.ts'
import { istioYaml, serviceYaml, translate, unpack, viewWith, workload } from '../support/translate.ts'

const fqdn = 'reviews.default.svc.cluster.local'
const forms = [fqdn, 'reviews', 'reviews.default', 'reviews.default.svc']

const routeNameOf = (name: string, translated: ReturnType<typeof translate>) => {
  const manager = unpack(translated.listener(name).apiListener?.apiListener, HttpConnectionManagerSchema)
  assert.equal(manager.routeSpecifier.case, 'rds')
  return manager.routeSpecifier.case === 'rds' ? manager.routeSpecifier.value.routeConfigName : ''
}

test('every form of a name has a listener with each port and one without', () => {
  const translated = translate(serviceYaml('reviews'))
  assert.deepEqual([...translated.names('listeners')].sort(), forms.flatMap(name => [name, `${name}:9080`]).sort())
  for (const name of translated.names('listeners')) assert.equal(routeNameOf(name, translated), `outbound|9080||${fqdn}`)
})

test('a name without port means port 80, else the first port that is routed', () => {
  const ports = '[{ name: tcp-db, port: 5432 }, { name: http-a, port: 9080 }, { name: http-b, port: 80 }]'
  assert.equal(routeNameOf('reviews', translate(serviceYaml('reviews', ports))), `outbound|80||${fqdn}`)
  const without80 = '[{ name: tcp-db, port: 5432 }, { name: http-a, port: 9080 }, { name: grpc-b, port: 7000 }]'
  const translated = translate(serviceYaml('reviews', without80))
  assert.equal(routeNameOf('reviews', translated), `outbound|9080||${fqdn}`)
  assert.equal(routeNameOf('reviews:7000', translated), `outbound|7000||${fqdn}`)
})

test('the domains hold every form with and without port, the final dot and the cluster address', () => {
  const [virtualHost] = translate(serviceYaml('reviews', undefined, ', clusterIP: 10.1.2.3')).routeConfiguration(
    `outbound|9080||${fqdn}`,
  ).virtualHosts
  const bare = [fqdn, `${fqdn}.`, 'reviews', 'reviews.default', 'reviews.default.svc', '10.1.2.3']
  assert.deepEqual(
    virtualHost?.domains,
    bare.flatMap(name => [name, `${name}:9080`]),
  )
  assert.equal(virtualHost?.name, `${fqdn}:9080`)
})

test('a short name means the service of the own namespace', () => {
  const other = serviceYaml('reviews').replace('name: reviews }', 'name: reviews, namespace: shop }')
  const yaml = serviceYaml('reviews') + other
  assert.equal(routeNameOf('reviews:9080', translate(yaml)), `outbound|9080||${fqdn}`)
  assert.equal(
    routeNameOf('reviews:9080', translate(yaml, { namespace: 'shop' })),
    'outbound|9080||reviews.shop.svc.cluster.local',
  )
  assert.equal(routeNameOf('reviews.shop', translate(yaml)), 'outbound|9080||reviews.shop.svc.cluster.local')
  assert.ok(!translate(other).names('listeners').includes('reviews'))
})

test('a port that is not HTTP has a cluster and no listener', () => {
  const translated = translate(serviceYaml('db', '[{ name: tcp, port: 5432 }]'))
  assert.deepEqual(translated.names('listeners'), [])
  assert.deepEqual(translated.names('clusters'), ['outbound|5432||db.default.svc.cluster.local'])
})

test('a VirtualService on a host without service is called on port 80', () => {
  const yaml =
    serviceYaml('reviews') +
    istioYaml('VirtualService', 'a', '{ hosts: [front.test], http: [{ route: [{ destination: { host: reviews } }] }] }')
  const translated = translate(yaml)
  assert.equal(routeNameOf('front.test', translated), 'outbound|80||front.test')
  assert.equal(routeNameOf('front.test:80', translated), 'outbound|80||front.test')
  const [route] = translated.routes('outbound|80||front.test')
  assert.equal(route?.action.case === 'route' && route.action.value.clusterSpecifier.value, `outbound|9080||${fqdn}`)
})

test('a proxy gets a listener on each port, and a route configuration with every service of the port', () => {
  const yaml = serviceYaml('reviews') + serviceYaml('ratings') + serviceYaml('web', '[{ name: http, port: 80 }]')
  const translated = translate(yaml, { kind: 'envoy' })
  assert.deepEqual(translated.names('listeners'), ['127.0.0.1_80', '127.0.0.1_9080'])
  const { virtualHosts, ignorePortInHostMatching } = translated.routeConfiguration('9080')
  assert.equal(ignorePortInHostMatching, true)
  assert.deepEqual(
    virtualHosts.map(({ name }) => name),
    ['ratings.default.svc.cluster.local:9080', `${fqdn}:9080`],
  )
})

test('a proxy with a port of its own gets one listener, and hosts are told apart by port', () => {
  const yaml = serviceYaml('reviews', '[{ name: http, port: 9080 }, { name: grpc, port: 7000 }]')
  const translated = translate(yaml, { kind: 'envoy', outboundPort: 15001 })
  assert.deepEqual(translated.names('listeners'), ['127.0.0.1_15001'])
  const { virtualHosts } = translated.routeConfiguration('outbound')
  assert.ok(virtualHosts[0]?.domains.includes('reviews'))
  assert.ok(virtualHosts[1]?.domains.every(domain => domain.endsWith(':7000')))
})

test('no domain stands twice in a configuration, and a full name beats a short one', () => {
  const entry = istioYaml(
    'ServiceEntry',
    'e',
    '{ hosts: [reviews], ports: [{ number: 9080, name: http, protocol: HTTP }], resolution: DNS }',
  )
  const { virtualHosts } = translate(serviceYaml('reviews') + entry, { kind: 'envoy' }).routeConfiguration('9080')
  const domains = virtualHosts.flatMap(each => each.domains)
  assert.equal(new Set(domains).size, domains.length)
  assert.ok(virtualHosts.find(({ name }) => name === 'reviews:9080')?.domains.includes('reviews'))
})

test('an implicit service has port 80, the ports of its instances and every form of the name', () => {
  const translated = translate('', {}, [workload(1, { port: 4001 }), workload(2, { port: 4002 })])
  assert.deepEqual(
    translated.names('routes'),
    [80, 4001, 4002].map(port => `outbound|${port}||${fqdn}`),
  )
  for (const name of forms) assert.equal(routeNameOf(name, translated), `outbound|80||${fqdn}`)
  assert.deepEqual(translated.addresses(`outbound|80||${fqdn}`), ['10.0.0.1:4001', '10.0.0.2:4002'])
})

test('the view of a client is read from its node', () => {
  const node = create(NodeSchema, {
    userAgentName: 'envoy',
    metadata: { NAMESPACE: 'shop', LABELS: { b: '2', a: '1', bad: 3 }, INMESH_OUTBOUND_PORT: '15001' },
    locality: { region: 'eu', zone: 'a' },
  })
  const view = viewOf(node) ?? assert.fail('no view')
  assert.deepEqual(view, {
    kind: 'envoy',
    agent: 'other',
    isIdentified: false,
    namespace: 'shop',
    labels: { b: '2', a: '1', 'topology.kubernetes.io/region': 'eu', 'topology.kubernetes.io/zone': 'a' },
    locality: { region: 'eu', zone: 'a', subZone: '' },
    outboundPort: 15001,
    reportsLoad: false,
  })
  assert.equal(viewKey(view), viewKey({ ...view, labels: Object.fromEntries(Object.entries(view.labels).reverse()) }))
  assert.deepEqual(viewOf(undefined), viewWith({ agent: 'other' }))
  assert.equal(viewOf(create(NodeSchema, { userAgentName: 'envoy', metadata: { GENERATOR: 'grpc' } }))?.kind, 'proxyless')
})
