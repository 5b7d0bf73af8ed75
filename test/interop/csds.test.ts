import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import * as grpc from '@grpc/grpc-js'
import { createMesh, silentLogger } from '../../src/index.ts'
import { FakeAdsServer } from '../support/fake-ads-server.ts'
import { goProgram } from '../support/peers.ts'
import { until } from '../support/until.ts'
import { clusterMessage, serviceMessages, wireResource } from '../support/xds-resources.ts'

/** What `csds/main.go` writes of a resource. */
interface Row {
  readonly scope: string
  readonly node: string
  readonly type: string
  readonly name: string
  readonly version: string
  readonly status: string
  readonly updated: number
  readonly config: string
  readonly problem: string
  readonly refused: string
  readonly servers: number
}

const program = () => goProgram('test/interop/csds')
const target = 'reviews:80'

/** What grpc-go's own classes read off an admin server. */
async function dump(address: string): Promise<readonly Row[]> {
  const { stdout } = await promisify(execFile)(program(), ['dump', address], { timeout: 20_000 })
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
}

const dumpUntil = (address: string, status: string) =>
  until(async () => {
    const rows = await dump(address).catch(() => [])
    return rows.length >= 4 && rows.some(row => row.status === status) && rows
  })

/** Two clients of one control plane, this one and grpc-go; the addresses of their admin services. */
async function setUp(t: TestContext) {
  const controlPlane = await FakeAdsServer.start({ protocols: ['sotw'] })
  controlPlane.set(...serviceMessages(target, '10.0.0.1:80'))
  const servers = [{ server_uri: controlPlane.target, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }]
  const bootstrap = { xds_servers: servers, node: { id: 'me' } }
  const mesh = await createMesh({ bootstrap, hosts: [target], env: {}, runtime: { logger: silentLogger } })
  const server = new grpc.Server()
  mesh.addAdminServices(server)
  const port = await new Promise<number>((resolve, reject) => {
    const onBound = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error))
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), onBound)
  })
  const peer = spawn(program(), ['serve', `xds:///${target}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) },
  })
  t.after(async () => {
    peer.kill()
    server.forceShutdown()
    await mesh.close()
    controlPlane.stop()
  })
  const [peerAddress] = await once(createInterface(peer.stdout), 'line')
  return { controlPlane, own: `127.0.0.1:${port}`, peer: String(peerAddress) }
}

const byType = (rows: readonly Row[]) =>
  rows.filter(({ scope }) => scope === `xds:///${target}`).sort((a, b) => (a.type < b.type ? -1 : 1))

test("grpc-go's classes read this client's dump, and it says what grpc-go's own says", async t => {
  const { own, peer } = await setUp(t)
  const [ours, theirs] = [byType(await dumpUntil(own, 'ACKED')), byType(await dumpUntil(peer, 'ACKED'))]
  const told = ({ scope, node, type, name, status, config }: Row) => ({ scope, node, type, name, status, config })
  assert.equal(ours.length, 4)
  assert.deepEqual(ours.map(told), theirs.map(told))
  // The server counts versions from stream to stream.
  assert.ok([...ours, ...theirs].every(({ version, updated, problem }) => version !== '' && updated > 0 && problem === ''))
  // Channelz knows the server of these services, and the control plane of the test.
  assert.deepEqual(new Set(ours.map(({ servers }) => servers)), new Set([2]))
})

test('both say NACKED of a resource that is refused, with the one in use', async t => {
  const { own, peer, controlPlane } = await setUp(t)
  await Promise.all([dumpUntil(own, 'ACKED'), dumpUntil(peer, 'ACKED')])
  const bad = clusterMessage(target)
  bad.edsClusterConfig = undefined
  controlPlane.set(bad)
  const rows = [await dumpUntil(own, 'NACKED'), await dumpUntil(peer, 'NACKED')].map(each =>
    byType(each).find(({ status }) => status === 'NACKED'),
  )
  const good = Buffer.from(wireResource(clusterMessage(target)).bytes).toString('base64')
  for (const row of rows) {
    assert.deepEqual([row?.name, row?.config], [target, good])
    assert.notEqual(row?.problem, '')
    assert.ok(Number(row?.refused) > Number(row?.version))
  }
})
