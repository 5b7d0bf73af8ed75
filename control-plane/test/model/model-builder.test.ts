import assert from 'node:assert/strict'
import { test } from 'node:test'
import { istioYaml, serviceYaml, translate, workload } from '../support/translate.ts'

const host = 'reviews.default.svc.cluster.local'
const addresses = (yaml: string, cluster: string, ...workloads: Parameters<typeof translate>[2][]) =>
  translate(
    yaml,
    {},
    workloads.flatMap(each => each ?? []),
  ).addresses(cluster)
const name = (port: number, service = host) => `outbound|${port}||${service}`

test('a registered workload joins the service whose selector fits, by its name where it has no label app', () => {
  const yaml = serviceYaml('reviews')
  assert.deepEqual(addresses(yaml, name(9080), [workload(1, { port: 3001 })]), ['10.0.0.1:3001'])
  assert.deepEqual(addresses(yaml, name(9080), [workload(1, { service: 'other', labels: { app: 'reviews' } })]), [
    '10.0.0.1:9080',
  ])
  assert.deepEqual(addresses(yaml, name(9080), [workload(1, { labels: { app: 'web' } }), workload(2, { namespace: 'shop' })]), [])
})

test('it serves the port it listens on, or the first of its protocol', () => {
  const yaml = serviceYaml(
    'reviews',
    '[{ name: http, port: 80, targetPort: 8080 }, { name: grpc, port: 7000 }, { name: http-admin, port: 81 }]',
  )
  const workloads = [
    workload(1, { port: 8080 }),
    workload(2, { port: 81 }),
    workload(3, { port: 5555, protocol: 'grpc' }),
    workload(4, { port: 5555 }),
  ]
  assert.deepEqual(addresses(yaml, name(80), workloads), ['10.0.0.1:8080', '10.0.0.4:5555'])
  assert.deepEqual(addresses(yaml, name(81), workloads), ['10.0.0.2:81'])
  assert.deepEqual(addresses(yaml, name(7000), workloads), ['10.0.0.3:5555'])
})

test('it joins a declared service of its name that has neither selector nor endpoints', () => {
  const open = 'apiVersion: v1\nkind: Service\nmetadata: { name: reviews }\nspec: { ports: [{ port: 9080 }] }\n---\n'
  assert.deepEqual(addresses(open, name(9080), [workload(1, { labels: { app: 'x' } })]), ['10.0.0.1:9080'])
  const entry = istioYaml(
    'ServiceEntry',
    'e',
    '{ hosts: [api.test], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }] }',
  )
  assert.deepEqual(addresses(entry, name(80, 'api.test'), [workload(1, { service: 'api.test' })]), ['10.0.0.1:9080'])
})

test('a ServiceEntry selects registered workloads and WorkloadEntries of its namespace', () => {
  const yaml =
    istioYaml(
      'ServiceEntry',
      'e',
      '{ hosts: [api.test], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }], workloadSelector: { labels: { app: api } } }',
    ) +
    istioYaml('WorkloadEntry', 'w', '{ address: 10.9.0.1, labels: { app: api }, ports: { http: 4321 } }') +
    istioYaml('WorkloadEntry', 'v', '{ address: 10.9.0.2, labels: { app: api } }') +
    istioYaml('WorkloadEntry', 'w', '{ address: 10.9.0.3, labels: { app: api } }', ', namespace: shop')
  const seen = addresses(yaml, name(80, 'api.test'), [workload(1, { service: 'api', port: 3001 })])
  assert.deepEqual(seen, ['10.9.0.2:8080', '10.9.0.1:4321', '10.0.0.1:3001'])
})

test('endpoints of slices are those that are ready, on the port of the name', () => {
  const slice = (more: string) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: s${more.length}, labels: { kubernetes.io/service-name: reviews, version: v1 } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints: [${more}]
---
`
  const ready =
    '{ addresses: [10.1.0.1] }, { addresses: [10.1.0.2], conditions: { ready: false } }, { addresses: [10.1.0.3], conditions: { ready: true }, zone: a }'
  assert.deepEqual(addresses(serviceYaml('reviews') + slice(ready), name(9080)), ['10.1.0.1:8080', '10.1.0.3:8080'])
  const all = serviceYaml('reviews', undefined, ', publishNotReadyAddresses: true') + slice(ready)
  assert.deepEqual(addresses(all, name(9080)), ['10.1.0.1:8080', '10.1.0.2:8080', '10.1.0.3:8080'])
  const rule = istioYaml('DestinationRule', 'd', '{ host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }')
  assert.equal(addresses(serviceYaml('reviews') + slice(ready) + rule, `outbound|9080|v1|${host}`).length, 2)
})

test('ServiceEntries of one host share it, each with its own ports and endpoints', () => {
  const entry = (id: string, port: number, address: string) =>
    istioYaml(
      'ServiceEntry',
      id,
      `{ hosts: [api.test], resolution: STATIC, ports: [{ number: ${port}, name: http-${port}, protocol: HTTP }], endpoints: [{ address: ${address} }] }`,
    )
  const yaml = entry('a', 80, '10.9.0.1') + entry('b', 81, '10.9.0.2')
  assert.deepEqual(addresses(yaml, name(80, 'api.test')), ['10.9.0.1:80'])
  assert.deepEqual(addresses(yaml, name(81, 'api.test')), ['10.9.0.2:81'])
})

test('an implicit service keeps protocols apart', () => {
  const workloads = [workload(1, { port: 8080 }), workload(1, { id: 'node-1/g', port: 50051, protocol: 'grpc' })]
  assert.deepEqual(addresses('', name(80), workloads), ['10.0.0.1:8080'])
  assert.deepEqual(addresses('', name(50051), workloads), ['10.0.0.1:50051'])
})

test('the order in which workloads register makes no difference', () => {
  const workloads = [workload(2), workload(1), workload(3)]
  assert.deepEqual(addresses('', name(80), workloads), addresses('', name(80), [...workloads].reverse()))
})

test('a service of type ExternalName is the other name', () => {
  const yaml =
    'apiVersion: v1\nkind: Service\nmetadata: { name: reviews }\nspec: { type: ExternalName, externalName: api.test, ports: [{ port: 80 }] }\n'
  const cluster = translate(yaml).cluster(name(80))
  const endpoint = cluster.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier
  const address = endpoint?.case === 'endpoint' ? endpoint.value.address?.address : undefined
  assert.equal(address?.case === 'socketAddress' && address.value.address, 'api.test')
})
