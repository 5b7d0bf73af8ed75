import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, linesOf } from '../support/documents.ts'

test('an error names file, line, column, object and field, and all errors are found', () => {
  const { problems, documents } = decode(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
    - route:
        - destination: { host: reviews }
          weight: -5
      timeout: 5
    - httpp: {}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec:
  host: reviews
  subsets:
    - name: v1
      labels: { version: 1 }
`)
  assert.deepEqual([...linesOf(problems, 'error')].sort(), [
    'mesh.yaml:10:11: VirtualService default/reviews: spec.http[0].route[0].weight: must be in [0, 2147483647], got -5',
    'mesh.yaml:11:7: VirtualService default/reviews: spec.http[0].timeout: must be a string, got 5; put it in quotes',
    'mesh.yaml:12:7: VirtualService default/reviews: spec.http[1].httpp: is not a field',
    'mesh.yaml:12:7: VirtualService default/reviews: spec.http[1]: must have route, redirect or directResponse',
    'mesh.yaml:21:17: DestinationRule shop/reviews: spec.subsets[0].labels.version: must be a string, got 1; put it in quotes',
  ])
  assert.deepEqual(documents.virtualServices, [])
})

test('one mistake is one error', () => {
  const { problems } = decode(`apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { ports: [{ name: a, port: x }, { name: b, port: y.z }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api }
spec: { hosts: [api.test], resolution: STATIC, ports: [{ number: 1, protocol: HTTP }, { number: 2, protocol: HTTP }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - route:
    - { destination: { host: a }, weight: heavy }
    - { destination: { host: b } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [{ labels: {} }, { labels: {} }] }
`)
  const errors = linesOf(problems, 'error').map(line => line.replace(/^mesh\.yaml:\d+:\d+: /, ''))
  assert.deepEqual(errors, [
    'Service default/reviews: spec.ports[0].port: must be an integer, got "x"',
    'Service default/reviews: spec.ports[1].port: must be an integer, got "y.z"',
    'ServiceEntry default/api: spec.ports[0].name: is required',
    'ServiceEntry default/api: spec.ports[1].name: is required',
    'VirtualService default/reviews: spec.http[0].route[0].weight: must be an integer, got "heavy"',
    'DestinationRule default/reviews: spec.subsets[0].name: is required',
    'DestinationRule default/reviews: spec.subsets[1].name: is required',
  ])
})

test('text that is no YAML is refused with its place, and a repeated key too', () => {
  assert.match(linesOf(decode('a: [').problems, 'error')[0] ?? '', /^mesh\.yaml:1:\d+: /)
  assert.match(linesOf(decode('kind: a\nkind: b').problems, 'error')[0] ?? '', /^mesh\.yaml:2:1: .*unique/)
})

test('a document without kind, and one of an unknown kind of Istio, is refused', () => {
  assert.deepEqual(linesOf(decode('apiVersion: v1').problems, 'error'), ['mesh.yaml:1:1: kind: is required'])
  const unknown = decode('apiVersion: networking.istio.io/v1\nkind: VirtualServise\nmetadata: { name: a }')
  assert.match(linesOf(unknown.problems, 'error')[0] ?? '', /^mesh\.yaml:2:1: VirtualServise default\/a: kind: there is no kind/)
})

test('a kind that is none of ours is said to have no effect', () => {
  const gateway = decode('apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: a }')
  assert.deepEqual(linesOf(gateway.problems, 'error'), [])
  assert.match(linesOf(gateway.problems, 'warning')[0] ?? '', /has no effect here/)
})

test('two objects of one name are refused', () => {
  const yaml = 'apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ port: 80 }] }\n'
  assert.deepEqual(linesOf(decode(`${yaml}---\n${yaml}`).problems, 'error'), [
    'mesh.yaml:6:1: Service default/a: is there twice: also at mesh.yaml:1',
  ])
})

test('the items of a List are documents', () => {
  const { documents, problems } = decode(`apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: { name: a }
    spec: { ports: [{ port: 80 }] }
  - apiVersion: v1
    kind: Service
    metadata: { name: b }
    spec: { ports: [{ port: 0 }] }
`)
  assert.deepEqual(
    documents.services.map(({ meta }) => meta.name),
    ['a'],
  )
  assert.deepEqual(linesOf(problems, 'error'), [
    'mesh.yaml:11:23: Service default/b: spec.ports[0].port: must be in [1, 65535], got 0',
  ])
})

test('names that lead nowhere, rules nobody reaches and second owners of a host are warned of', () => {
  const { problems } = decode(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec:
  hosts: [reviews]
  http:
    - route: [{ destination: { host: nowhere.test, subset: v1 } }]
    - route: [{ destination: { host: reviews } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a }
spec:
  hosts: [reviews.default.svc.cluster.local]
  http: [{ route: [{ destination: { host: reviews } }] }]
`)
  assert.deepEqual(linesOf(problems, 'error'), [])
  assert.deepEqual(linesOf(problems, 'warning'), [
    'mesh.yaml:8:7: VirtualService default/b: spec.http[1]: is never reached: spec.http[0] matches everything',
    'mesh.yaml:7:32: VirtualService default/b: spec.http[0].route[0].destination.host: no document defines nowhere.test: calls fail with 503 unless it registers itself',
    'mesh.yaml:7:52: VirtualService default/b: spec.http[0].route[0].destination.subset: no DestinationRule defines the subset v1 of nowhere.test: calls fail with 503',
    'mesh.yaml:5:3: VirtualService default/b: spec.hosts: has no effect on reviews.default.svc.cluster.local, which VirtualService default/a rules',
  ])
})

test('a VirtualService beside an older one on its host has an effect on the callers whom the older has no rules for', () => {
  const named = (name: string, match: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [api.test], http: [{ match: [${match}], route: [{ destination: { host: reviews } }] }] }
---
`
  const service = 'apiVersion: v1\nkind: Service\nmetadata: { name: reviews }\nspec: { ports: [{ port: 80 }] }\n'
  const warningsOf = (first: string) =>
    linesOf(decode(named('a', first) + named('b', '{ uri: { exact: /b } }') + service).problems, 'warning')
  for (const some of ['{ sourceLabels: { app: web } }', '{ sourceNamespace: shop }', '{ port: 80 }', '{ gateways: [edge] }'])
    assert.deepEqual(warningsOf(some), [])
  for (const all of ['{ uri: { exact: /a } }', '{ gateways: [mesh] }', '{ port: 80 }, { uri: { exact: /a } }'])
    assert.match(warningsOf(all).join('\n'), /VirtualService default\/b: spec\.hosts: has no effect on api\.test/)
})

test('aliases resolve, and those that multiply are refused', () => {
  const { documents } = decode(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a }
spec:
  hosts: [reviews]
  http:
    - route: &to [{ destination: { host: reviews } }]
      match: [{ uri: { exact: /a } }]
    - route: *to
`)
  assert.equal(documents.virtualServices[0]?.http.length, 2)
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x,x]',
    ...Array.from('bcdefghi', (name, i) => `${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[i]}`)}]`),
  ]
  assert.match(linesOf(decode(bomb.join('\n')).problems, 'error')[0] ?? '', /alias/i)
})
