import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { Client, type Metadata, Server, type ServiceError, status } from '@grpc/grpc-js'
import type { Mesh } from '../../src/index.ts'
import { startSecureMesh } from '../support/secure-mesh.ts'

const bytes = (value: Buffer) => value
const method = (name: string) => ({
  path: `/test.Echo/${name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})

async function serve(t: TestContext, mesh: Mesh) {
  const server = new Server()
  const seen: Metadata[] = []
  const answer = (call: { metadata: Metadata; request: Buffer }, callback: (error: null, value: Buffer) => void) => {
    seen.push(call.metadata)
    callback(null, call.request)
  }
  server.addService({ Read: method('Read'), Admin: method('Admin') }, { Read: answer, Admin: answer })
  const workload = await mesh.serveGrpc(server, { host: '127.0.0.1' })
  t.after(() => server.forceShutdown())
  return { ...workload, seen }
}

function call(mesh: Mesh, path: string): Promise<{ code: number; details: string }> {
  const client = mesh.grpcClient(Client, 'echo')
  return new Promise(resolve => {
    client.makeUnaryRequest(path, bytes, bytes, Buffer.from('x'), (error: ServiceError | null) =>
      resolve(error === null ? { code: status.OK, details: '' } : { code: error.code, details: error.details }),
    )
  })
}

const policies = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: read-only }
spec:
  rules:
    - from: [{ source: { principals: ['mesh.test/ns/default/sa/page'] } }]
      to: [{ operation: { paths: ['/test.Echo/Read'] } }]
`

test('B15: calls of gRPC are judged by method and by who calls', async t => {
  const world = await startSecureMesh(t, policies)
  const server = await serve(t, await world.join('echo'))
  const [page, other] = [await world.join('page'), await world.join('other')]
  assert.deepEqual(await call(page, '/test.Echo/Read'), { code: status.OK, details: '' })
  assert.match(String(server.seen[0]?.get('x-forwarded-client-cert')), /URI=spiffe:\/\/mesh\.test\/ns\/default\/sa\/page$/)
  const denied = { code: status.PERMISSION_DENIED, details: 'RBAC: access denied' }
  for (const path of ['/test.Echo/Admin', '/test.Echo/read', '/test.Echo/Read/', '/test.Other/Read'])
    assert.deepEqual(await call(page, path), denied, path)
  assert.deepEqual(await call(other, '/test.Echo/Read'), denied)
  for (const path of ['//test.Echo/Read', '/test.Echo//Read', '/test.Echo%2fRead'])
    assert.equal((await call(page, path)).code, status.INVALID_ARGUMENT, path)
})

test('A27: plaintext never reaches the server', async t => {
  const world = await startSecureMesh(t, policies)
  const server = await serve(t, await world.join('echo'))
  const session = connect(`http://127.0.0.1:${server.port}`)
  session.on('error', () => {})
  await once(session, 'close')
  assert.equal(server.seen.length, 0)
})
