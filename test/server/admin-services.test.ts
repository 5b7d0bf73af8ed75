import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import * as grpc from '@grpc/grpc-js'
import {
  ClientStatusRequestSchema,
  type ClientStatusResponse,
  ClientStatusResponseSchema,
} from '../../src/discovery/gen/envoy/service/status/v3/csds_pb.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { createMesh, type Mesh, type MeshOptions, silentLogger } from '../../src/index.ts'
import { FakeAdsServer } from '../support/fake-ads-server.ts'
import { federatedMessages, federatedName } from '../support/federated-resources.ts'
import { clusterMessage, serviceMessages, wireResource } from '../support/xds-resources.ts'

type Request = MessageInitShape<typeof ClientStatusRequestSchema>

const path = '/envoy.service.status.v3.ClientStatusDiscoveryService'
const encode = (request: Request) => Buffer.from(toBinary(ClientStatusRequestSchema, create(ClientStatusRequestSchema, request)))
const decode = (bytes: Buffer) => fromBinary(ClientStatusResponseSchema, bytes)

async function startAdmin(t: TestContext, mesh: Mesh): Promise<grpc.Client> {
  const server = new grpc.Server()
  mesh.addAdminServices(server)
  const port = await new Promise<number>((resolve, reject) => {
    const onBound = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error))
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), onBound)
  })
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  t.after(() => {
    client.close()
    server.forceShutdown()
  })
  return client
}

const fetchStatus = (client: grpc.Client, request: Request = {}) =>
  new Promise<ClientStatusResponse>((resolve, reject) => {
    const onAnswer = (error: grpc.ServiceError | null, answer?: ClientStatusResponse) =>
      answer === undefined ? reject(error) : resolve(answer)
    client.makeUnaryRequest(`${path}/FetchClientStatus`, encode, decode, request, onAnswer)
  })

async function startMesh(t: TestContext, hosts: readonly string[], authorities: object = {}) {
  const controlPlane = await FakeAdsServer.start({ protocols: ['sotw'] })
  controlPlane.set(...serviceMessages('reviews:80', '10.0.0.1:80'), ...serviceMessages('ratings:80', '10.0.0.2:80'))
  controlPlane.set(...federatedMessages('auth', 'reviews', '10.0.0.3:80'))
  const bootstrap = {
    xds_servers: [{ server_uri: controlPlane.target, channel_creds: [{ type: 'insecure' }] }],
    authorities,
    node: { id: 'me', cluster: 'shop' },
  }
  const mesh = await createMesh({ bootstrap, hosts, env: {}, runtime: { logger: silentLogger } })
  t.after(async () => {
    await mesh.close()
    controlPlane.stop()
  })
  return { controlPlane, mesh, client: await startAdmin(t, mesh) }
}

const short = (typeUrl: string) => typeUrl.slice(typeUrl.lastIndexOf('.') + 1)
const rowsOf = ({ config }: ClientStatusResponse) =>
  config.flatMap(({ clientScope, genericXdsConfigs }) =>
    genericXdsConfigs.map(({ typeUrl, name, clientStatus }) => `${clientScope} ${short(typeUrl)} ${name} ${clientStatus}`),
  )
const clusterOf = ({ config }: ClientStatusResponse) =>
  config.flatMap(each => each.genericXdsConfigs).find(({ typeUrl }) => typeUrl === typeUrls.cluster) ?? assert.fail('no cluster')

test('CSDS: every resource as it arrived, by target (gRFC A40)', async t => {
  const before = Date.now()
  const { client } = await startMesh(t, ['reviews:80', 'ratings:80'])
  const answer = await fetchStatus(client)
  assert.deepEqual(
    rowsOf(answer),
    ['reviews:80', 'ratings:80'].flatMap(name =>
      ['Listener', 'RouteConfiguration', 'Cluster', 'ClusterLoadAssignment'].map(type => `xds:///${name} ${type} ${name} 3`),
    ),
  )
  assert.deepEqual(
    answer.config.map(({ node }) => [node?.id, node?.cluster, node?.userAgentName]),
    [
      ['me', 'shop', 'inmesh'],
      ['me', 'shop', 'inmesh'],
    ],
  )
  const { xdsConfig, versionInfo, lastUpdated, errorState } = clusterOf(answer)
  const { typeUrl, bytes } = wireResource(clusterMessage('reviews:80'))
  assert.deepEqual([xdsConfig?.typeUrl, Buffer.from(xdsConfig?.value ?? [])], [typeUrl, Buffer.from(bytes)])
  assert.notEqual(versionInfo, '')
  assert.ok(Number(lastUpdated?.seconds ?? 0n) >= Math.floor(before / 1000))
  assert.equal(errorState, undefined)
})

test('CSDS: a resource that was refused is told with the one in use and what is wrong', async t => {
  const { client, controlPlane, mesh } = await startMesh(t, ['reviews:80'])
  const good = clusterOf(await fetchStatus(client))
  const refused = new Promise(resolve => mesh.on('nack', resolve))
  const bad = clusterMessage('reviews:80')
  bad.edsClusterConfig = undefined
  controlPlane.set(bad)
  await refused
  const { clientStatus, errorState, xdsConfig, versionInfo } = clusterOf(await fetchStatus(client))
  assert.equal(clientStatus, 4)
  assert.deepEqual([xdsConfig?.value, versionInfo], [good.xdsConfig?.value, good.versionInfo])
  assert.match(errorState?.details ?? '', /eds_config: must be ads or self/)
  assert.notEqual(errorState?.versionInfo, versionInfo)
  assert.ok(errorState?.lastUpdateAttempt)
})

test('CSDS: what was asked for and never came is REQUESTED; authorities of the bootstrap are told too', async t => {
  const { client, mesh, controlPlane } = await startMesh(t, [], { auth: {} })
  mesh.channel('xds://auth/reviews').close()
  mesh.channel('xds:///gone:80').close()
  await controlPlane.request(({ typeUrl }) => typeUrl === typeUrls.clusterLoadAssignment)
  assert.deepEqual(rowsOf(await fetchStatus(client)).slice(0, 1), [
    `xds://auth/reviews Listener ${federatedName('listener', 'auth', 'reviews')} 3`,
  ])
  assert.ok(rowsOf(await fetchStatus(client)).includes('xds:///gone:80 Listener gone:80 1'))
})

test('CSDS: the contents can be left out, and nodes cannot be matched', async t => {
  const { client } = await startMesh(t, ['reviews:80'])
  const { xdsConfig, clientStatus } = clusterOf(await fetchStatus(client, { excludeResourceContents: true }))
  assert.deepEqual([xdsConfig, clientStatus], [undefined, 3])
  await assert.rejects(fetchStatus(client, { nodeMatchers: [{}] }), {
    code: grpc.status.INVALID_ARGUMENT,
    details: 'node_matchers: not supported by a client',
  })
})

test('CSDS: a stream has an answer for each request', async t => {
  const { client } = await startMesh(t, ['reviews:80'])
  const call = client.makeBidiStreamRequest(`${path}/StreamClientStatus`, encode, decode)
  for (const _ of [1, 2]) {
    call.write({})
    const [answer] = await once(call, 'data')
    assert.equal(answer.config.length, 1)
  }
  call.end()
  const [status] = await once(call, 'status')
  assert.equal(status.code, grpc.status.OK)
})

test('one call adds channelz as well (gRFC A38)', async t => {
  const { client } = await startMesh(t, [])
  const bytes = (value: Buffer) => value
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const onAnswer = (error: grpc.ServiceError | null, message?: Buffer) =>
      message === undefined ? reject(error) : resolve(message)
    client.makeUnaryRequest('/grpc.channelz.v1.Channelz/GetServers', bytes, bytes, Buffer.alloc(0), onAnswer)
  })
  assert.ok(answer.length > 0)
})

test('a mesh without a control plane has nothing to tell', async t => {
  const options: MeshOptions = { env: { INMESH_DISABLED: '1' } }
  const mesh = await createMesh(options)
  assert.deepEqual((await fetchStatus(await startAdmin(t, mesh))).config, [])
})

test('a server has one client status discovery service', async t => {
  const { mesh } = await startMesh(t, [])
  const server = new grpc.Server()
  mesh.addAdminServices(server)
  assert.throws(() => mesh.addAdminServices(server), /already/)
})
