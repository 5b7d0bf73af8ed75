import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MeshState } from '../src/mesh.ts'
import { parseDocuments } from '../src/sources/parse-documents.ts'
import { securityYaml } from './support/security.ts'
import { stateOf, translatedOf, viewWith } from './support/translate.ts'

const listenerOf = (port: number) => `xds.istio.io/grpc/lds/inbound/10.0.0.1:${port}`
const selecting = securityYaml('AuthorizationPolicy', 'p', '{ selector: { matchLabels: { app: reviews } } }')
const [reviews, ratings] = [viewWith({ labels: { app: 'reviews' } }), viewWith({ labels: { app: 'ratings' } })]

const listeners = (state: MeshState, view: typeof reviews) => {
  const names = translatedOf(state, view).names('listeners')
  return names.filter(name => name.startsWith('xds.istio.io')).map(name => Number(name.split(':').at(-1)))
}

test('what is asked for is there in each view it was asked for in, also when documents tell the views apart only later', () => {
  const state = stateOf('')
  assert.equal(state.demandInbound(reviews, [listenerOf(1)]), true)
  assert.equal(state.demandInbound(ratings, [listenerOf(2)]), true)
  assert.deepEqual(
    [listeners(state, reviews), listeners(state, ratings)],
    [
      [1, 2],
      [1, 2],
    ],
  )
  state.apply(parseDocuments('mesh.yaml', selecting).documents)
  assert.deepEqual([listeners(state, reviews), listeners(state, ratings)], [[1], [2]])
  state.apply(parseDocuments('mesh.yaml', '').documents)
  assert.deepEqual(
    [listeners(state, reviews), listeners(state, ratings)],
    [
      [1, 2],
      [1, 2],
    ],
  )
})

test('it is there as long as somebody asks for it', () => {
  const state = stateOf('')
  assert.equal(state.demandInbound(reviews, [listenerOf(1)]), true)
  assert.equal(state.demandInbound(reviews, [listenerOf(1), listenerOf(2)]), true)
  assert.equal(state.demandInbound(reviews, [listenerOf(1)]), false)
  state.releaseInbound(reviews, [listenerOf(1), listenerOf(2), listenerOf(3)])
  assert.deepEqual(listeners(state, reviews), [1])
  state.releaseInbound(reviews, [listenerOf(1)])
  state.releaseInbound(reviews, [listenerOf(1)])
  assert.deepEqual(listeners(state, reviews), [])
  assert.equal(state.demandInbound(reviews, [listenerOf(1)]), true)
  assert.deepEqual(listeners(state, reviews), [1])
})
