import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { createMesh, type Mesh, silentLogger } from '../../../src/index.ts'
import { FakeAdsServer } from '../../support/fake-ads-server.ts'
import { federatedMessages } from '../../support/federated-resources.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../../support/grpc-backend.ts'
import { serviceMessages } from '../../support/xds-resources.ts'

async function setUp(t: TestContext) {
  const [controlPlane, other] = [await FakeAdsServer.start(), await FakeAdsServer.start()]
  const serversOf = ({ target }: FakeAdsServer) => [{ server_uri: target, channel_creds: [{ type: 'insecure' }] }]
  const mesh = await createMesh({
    bootstrap: { xds_servers: serversOf(controlPlane), authorities: { auth: { xds_servers: serversOf(other) } } },
    env: {},
    runtime: { logger: silentLogger },
  })
  t.after(async () => {
    await mesh.close()
    controlPlane.stop()
    other.stop()
  })
  return { mesh, controlPlane, other }
}

function clientOf(t: TestContext, mesh: Mesh, target: string) {
  const client = mesh.grpcClient(EchoClient, target)
  t.after(() => client.close())
  return client
}

test('xds://authority/name is another service than xds:///name, and calls to both say the name (gRFC A47)', async t => {
  const { mesh, controlPlane, other } = await setUp(t)
  const [backend, federated] = [await startGrpcBackend(t), await startGrpcBackend(t)]
  controlPlane.set(...serviceMessages('echo', backend.address))
  other.set(...federatedMessages('auth', 'echo', federated.address))
  await callUnary(clientOf(t, mesh, 'xds:///echo'), 'a')
  await callUnary(clientOf(t, mesh, 'xds://auth/echo'), 'b')
  assert.deepEqual(
    [backend, federated].map(({ seen }) => seen.map(({ authority }) => authority)),
    [['echo'], ['echo']],
  )
  assert.equal(clientOf(t, mesh, 'xds://auth/echo').getChannel().getTarget(), 'xds://auth/echo')
  assert.equal(mesh.isMeshTarget('xds://auth/echo'), true)
})

test('a call to an authority that the bootstrap does not have fails, and says so', async t => {
  const { mesh } = await setUp(t)
  const { code, details } = await callUnary(clientOf(t, mesh, 'xds://nobody/echo'), 'a')
  assert.equal(code, grpc.status.UNAVAILABLE)
  assert.match(details, /the bootstrap has no authority "nobody"/)
})
