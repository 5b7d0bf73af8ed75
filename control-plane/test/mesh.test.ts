import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshState } from '../src/mesh.ts'
import { parseDocuments } from '../src/sources/parse-documents.ts'
import { formatProblem } from '../src/sources/problem.ts'
import { SnapshotEncoder } from '../src/xds/snapshot.ts'
import { istioYaml, serviceYaml, stateOf, translatedOf, viewWith, workload } from './support/translate.ts'

const apply = (state: MeshState, yaml: string) => {
  const { documents, problems } = parseDocuments('mesh.yaml', yaml)
  return state.apply(documents, problems)
}
const rule = (subset: string, weight = 1) =>
  istioYaml(
    'VirtualService',
    'v',
    `{ hosts: [reviews], http: [{ route: [{ destination: { host: reviews, subset: ${subset} }, weight: ${weight} }] }] }`,
  )
const route = 'outbound|9080||reviews.default.svc.cluster.local'
const target = (state: MeshState) => {
  const [first] = translatedOf(state).routes(route)
  return first?.action.case === 'route' ? first.action.value.clusterSpecifier.value : undefined
}

test('before the first good revision nothing is served, not even nothing', () => {
  const state = new MeshState()
  assert.equal(state.resourcesOf(viewWith()), undefined)
  assert.equal(apply(state, 'kind: [').kind, 'refused')
  state.setWorkloads([workload(1)])
  assert.equal(state.resourcesOf(viewWith()), undefined)
  assert.deepEqual(apply(state, ''), { kind: 'accepted', revision: 1, warnings: [] })
  assert.ok(state.resourcesOf(viewWith()))
})

test('a change with one error is refused whole, and the last good revision goes on', () => {
  const state = stateOf(serviceYaml('reviews') + rule('v1'))
  const { revision } = state
  const result = apply(state, serviceYaml('reviews') + serviceYaml('more') + rule('v2', -1))
  assert.equal(result.kind, 'refused')
  assert.match(
    result.kind === 'refused' ? result.problems.map(formatProblem).join('\n') : '',
    /mesh\.yaml:\d+:\d+: VirtualService default\/v: spec\.http\[0\]\.route\[0\]\.weight: must be/,
  )
  assert.equal(state.revision, revision)
  assert.match(String(target(state)), /\|v1\|/)
  assert.ok(!translatedOf(state).names('listeners').includes('more'))
})

test('workloads come and go while a change is refused', () => {
  const state = stateOf(serviceYaml('reviews'))
  apply(state, 'kind: [')
  assert.equal(state.setWorkloads([workload(1)]), true)
  assert.deepEqual(translatedOf(state).addresses(route), ['10.0.0.1:9080'])
})

test('revisions count what a client could tell', () => {
  const state = stateOf(serviceYaml('reviews') + rule('v1'), [workload(1)])
  const { revision } = state
  assert.equal(state.setWorkloads([workload(1)]), true, 'a workload that registers anew is a new one')
  const one = workload(1)
  state.setWorkloads([one])
  const counted = state.revision
  assert.equal(state.setWorkloads([one]), false)
  assert.equal(state.revision, counted)
  const result = apply(state, serviceYaml('reviews') + rule('v2'))
  assert.equal(result.kind === 'accepted' && result.revision, counted + 1)
  assert.ok(revision < counted)
  assert.match(String(target(state)), /\|v2\|/)
})

test('clients that differ in nothing that matters share one translation', () => {
  const state = stateOf(serviceYaml('reviews'))
  const of = (view: Parameters<typeof viewWith>[0]) => state.resourcesOf(viewWith(view))?.resources
  assert.equal(of({ labels: { a: '1' } }), of({ labels: { a: '2' }, locality: { region: 'x', zone: '', subZone: '' } }))
  assert.notEqual(of({}), of({ namespace: 'shop' }))
  const picky = stateOf(
    serviceYaml('reviews') +
      istioYaml(
        'VirtualService',
        'v',
        '{ hosts: [reviews], http: [{ match: [{ sourceLabels: { a: "1" } }], route: [{ destination: { host: reviews } }] }] }',
      ),
  )
  assert.notEqual(picky.resourcesOf(viewWith({ labels: { a: '1' } }))?.resources, picky.resourcesOf(viewWith())?.resources)
})

test('the same mesh gives the same bytes, whatever the order of files and registrations', () => {
  const parts = [
    serviceYaml('reviews'),
    serviceYaml('ratings'),
    rule('v1'),
    istioYaml('DestinationRule', 'd', '{ host: reviews, subsets: [{ name: v1 }] }'),
  ]
  const workloads = [workload(1), workload(2), workload(3, { service: 'ratings' }), workload(4, { service: 'web' })]
  const versions = (yaml: string, registered: typeof workloads) => {
    const served = stateOf(yaml, registered).resourcesOf(viewWith())
    const snapshot = new SnapshotEncoder().encode('1', served?.resources ?? new Map())
    return [...snapshot.typeUrls()].map(typeUrl => snapshot.versionOf(typeUrl))
  }
  assert.deepEqual(versions(parts.join(''), workloads), versions([...parts].reverse().join(''), [...workloads].reverse()))
})
