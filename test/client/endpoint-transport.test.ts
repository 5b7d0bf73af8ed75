import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { request } from 'undici'
import type { ClusterConfig } from '../../src/discovery/model/cluster.ts'
import type { LbEndpoint } from '../../src/discovery/model/endpoint.ts'
import { defaultThresholds } from '../../src/policies/circuit-breaker.ts'
import {
  makeAssignment,
  makeCluster,
  makeEndpoint,
  makeRoute,
  makeTarget,
  makeVirtualHost,
} from '../support/fake-config-source.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { makeTls } from '../support/tls-model.ts'

const targets = { reviews: makeTarget([makeVirtualHost([makeRoute('c')])]) }
/** TLS to endpoints that say that they take it. */
const config: Partial<ClusterConfig> = {
  tlsMatches: [{ criteria: { tlsMode: 'istio' }, tls: makeTls() }],
  circuitBreakers: { default: { ...defaultThresholds, maxConnections: 1 }, high: defaultThresholds },
}
const handshake = 0x16

/** A server that answers plain text, and what its connections began with. */
async function setUp(t: TestContext) {
  const seen: string[] = []
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', data => seen.push(data[0] === handshake ? 'tls' : 'plain'))
    socket.on('data', data => (data[0] === handshake ? socket.destroy() : socket.write('HTTP/1.1 204 No Content\r\n\r\n')))
    t.after(() => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const { source, dispatcher } = makeMesh(t)
  const call = async () => {
    const { statusCode, body } = await request('http://reviews/', { dispatcher })
    await body.dump()
    return statusCode
  }
  const endpoint = (more: Partial<LbEndpoint> = {}) => makeEndpoint({ port, ...more })
  source.set({ targets, clusters: [makeCluster('c', [endpoint()], config)] })
  assert.deepEqual([await call(), await call()], [204, 204])
  const update = (updated: LbEndpoint) => {
    const state = source.current.clusters.get('c')
    assert.equal(state?.kind, 'ready')
    source.set({ clusters: [{ ...state, assignment: makeAssignment('c', [{ endpoints: [updated] }]) }] })
  }
  return { seen, call, update, endpoint, source }
}

test('the same connection serves an endpoint of which nothing has changed', async t => {
  const { seen, call, update, endpoint } = await setUp(t)
  update(endpoint({ weight: 2 }))
  assert.equal(await call(), 204)
  assert.deepEqual(seen, ['plain'])
})

test('an endpoint that begins to take TLS is not spoken to in plain text any more', async t => {
  const { seen, call, update, endpoint } = await setUp(t)
  update(endpoint({ transportSocketMatch: { tlsMode: 'istio' } }))
  await assert.rejects(call(), { code: 'MESH_ERR_CONNECT' })
  assert.deepEqual(seen, ['plain', 'tls'])
})

test('nor when its cluster changes at the same time', async t => {
  const { seen, call, endpoint, source } = await setUp(t)
  const updated = endpoint({ transportSocketMatch: { tlsMode: 'istio' } })
  source.set({ clusters: [makeCluster('c', [updated], { ...config, destination: { service: 'other', version: '' } })] })
  await assert.rejects(call(), { code: 'MESH_ERR_CONNECT' })
  assert.deepEqual(seen, ['plain', 'tls'])
})

test('with another hostname, which is the SNI, come other connections', async t => {
  const { seen, call, update, endpoint } = await setUp(t)
  update(endpoint({ hostname: 'other' }))
  assert.equal(await call(), 204)
  assert.deepEqual(seen, ['plain', 'plain'])
})
