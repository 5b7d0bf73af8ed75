import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { status } from '@grpc/grpc-js'
import { ConfigSourceSchema } from '../../../src/discovery/gen/envoy/config/core/v3/config_source_pb.ts'
import { typeUrls } from '../../../src/discovery/resource-type.ts'
import { FakeLoadStatsServer } from '../../support/fake-load-stats-server.ts'
import { clusterMessage, listenerMessage } from '../../support/xds-resources.ts'
import type { Defect } from './defect.ts'
import { DefectBackend } from './defect-backend.ts'
import type { DefectClient } from './defect-client.ts'
import { cluster, millis, route, routes, service } from './defect-resources.ts'
import { bootstrapFor, setStage } from './defect-stage.ts'

const { listener: lds, cluster: cds } = typeUrls

/** Both clients begin with a bootstrap that grpc-js-xds does not take. */
async function refusedBootstrap(t: TestContext, bootstrap: (address: string, id: string) => object): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours } = await setStage(t, { bootstrap })
  server.set(...service('one', route('/', 'good')), ...cluster('good', backend.address))
  const [their, our] = await Promise.all([theirs.call(), ours.call()])
  assert.deepEqual([their.code, our.code], [status.UNAVAILABLE, status.OK])
  assert.match(their.message, /Cannot read properties of null/)
  assert.deepEqual(theirs.requests(), [])
}

const withoutLocality = (address: string, id: string) => ({ ...bootstrapFor(address, id), node: { id } })

const withUnknownPlugin = (address: string, id: string) => ({
  ...bootstrapFor(address, id),
  certificate_providers: { other: { plugin_name: 'other', config: {} } },
})

async function serverFeatures(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const name = 'xdstp://lenient/envoy.config.listener.v3.Listener/one'
  const bootstrap = (address: string, id: string) => ({
    ...bootstrapFor(address, id, ['fail_on_data_errors']),
    authorities: { lenient: { xds_servers: bootstrapFor(address, id, ['ignore_resource_deletion']).xds_servers } },
  })
  const { server, theirs, ours } = await setStage(t, { bootstrap })
  server.set(...service('one', route('/', 'good')), listenerMessage(name, 'one'), ...cluster('good', backend.address))
  const lenient = { target: 'xds://lenient/one' }
  for (const client of [theirs, ours]) for (const call of [{}, lenient]) assert.equal((await client.call(call)).code, status.OK)
  const told = [theirs, ours].map(client => client.answers(lds, () => {}))
  server.delete(lds, name)
  await Promise.all(told)
  assert.equal((await theirs.call(lenient)).code, status.UNAVAILABLE)
  assert.equal((await ours.call(lenient)).code, status.OK)
  const streams = (client: DefectClient) => new Set(client.requests().map(({ stream }) => stream)).size
  assert.deepEqual([streams(theirs), streams(ours)], [1, 2])
}

async function firstRequests(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours } = await setStage(t)
  server.set(...service('one', route('/a', 'a'), route('/b', 'b'), route('/', 'c')))
  for (const name of ['a', 'b', 'c']) server.set(...cluster(name, backend.address))
  for (const client of [theirs, ours]) assert.equal((await client.call()).code, status.OK)
  const names = (client: DefectClient) => client.requests(cds).flatMap(each => (each.nonce === '' ? [each.names] : []))
  assert.deepEqual(names(theirs), [['a'], ['a', 'b'], ['a', 'b', 'c']])
  assert.deepEqual(names(ours), [['a', 'b', 'c']])
}

async function refusedResource(t: TestContext): Promise<void> {
  const { server, theirs, ours } = await setStage(t)
  server.set(...service('one', route('/', 'bad')), Object.assign(clusterMessage('bad'), { lbPolicy: 99 }))
  const code = async (client: DefectClient) => {
    const call = client.call()
    const { error } = await client.request(each => each.error !== undefined)
    assert.equal((await call).code, status.UNAVAILABLE)
    return error?.code
  }
  assert.deepEqual([await code(theirs), await code(ours)], [status.UNAVAILABLE, status.INVALID_ARGUMENT])
}

/** Both clients have called clusters `first` and `second`, of which reports are wanted, and the server wants to hear of both. */
async function reporting(t: TestContext) {
  const backend = await DefectBackend.start(t, 'v1')
  const loadStats = new FakeLoadStatsServer()
  const stage = await setStage(t, { loadStats })
  const { server, theirs, ours } = stage
  const names = ['first', 'second']
  for (const name of names) {
    const reported = clusterMessage(name)
    reported.lrsServer = create(ConfigSourceSchema, { configSourceSpecifier: { case: 'self', value: {} } })
    server.set(...service(name, route('/', name)), ...cluster(name, backend.address), reported)
  }
  server.set(...cluster('silent', backend.address))
  for (const client of [theirs, ours]) {
    for (const listener of names) assert.equal((await client.call({ listener })).code, status.OK)
    await loadStats.requestOf(client.name)
  }
  loadStats.send({ clusters: names, loadReportingInterval: millis(100) })
  return { ...stage, loadStats }
}

async function namedClusters(t: TestContext): Promise<void> {
  const { theirs, ours, loadStats } = await reporting(t)
  const told = async ({ name }: DefectClient) => {
    const { clusterStats } = await loadStats.requestOf(name, request =>
      request.clusterStats.some(({ clusterName }) => clusterName === 'second'),
    )
    return clusterStats.map(({ clusterName }) => clusterName).sort()
  }
  assert.deepEqual(await told(theirs), ['second'])
  assert.deepEqual(await told(ours), ['first', 'second'])
}

async function releasedCounters(t: TestContext): Promise<void> {
  const { server, theirs, ours, loadStats, change } = await reporting(t)
  await change(typeUrls.routeConfiguration, () => {
    server.set(routes('first', route('/', 'silent')), routes('second', route('/', 'silent')))
  })
  for (const client of [theirs, ours])
    for (const listener of ['first', 'second']) assert.equal((await client.call({ listener })).code, status.OK)
  await loadStats.idle(ours.name)
  // One may be under way, and a second one is not.
  for (let count = 0; count < 2; count++) {
    const known = new Set(loadStats.requests)
    const { clusterStats } = await loadStats.requestOf(theirs.name, request => !known.has(request))
    if (count === 1) assert.deepEqual(clusterStats, [])
  }
}

/** Defects in the bootstrap and in what is sent to the control plane. */
export const wireDefects: readonly Defect[] = [
  {
    number: 12,
    theirs: 'a bootstrap whose node has no locality fails every call, with a TypeError for a reason',
    ours: 'is taken (A27)',
    run: t => refusedBootstrap(t, withoutLocality),
  },
  {
    number: 12,
    theirs: 'so does one with a certificate provider of an unknown plugin, even if nobody uses it',
    ours: 'is taken (A29)',
    run: t => refusedBootstrap(t, withUnknownPlugin),
  },
  {
    number: 12,
    theirs: 'two authorities whose servers differ in `server_features` share one stream, with the features of the first',
    ours: 'each has its own, and its own features (A47)',
    run: serverFeatures,
  },
  {
    number: 13,
    theirs: 'asks for the clusters of a route one by one, in as many requests',
    ours: 'in one',
    run: firstRequests,
  },
  {
    number: 13,
    theirs: 'refuses a resource with code 14, UNAVAILABLE',
    ours: '3, INVALID_ARGUMENT, as C-core and Go do',
    run: refusedResource,
  },
  {
    number: 14,
    theirs: 'the first cluster that a server names for load reports is never reported',
    ours: 'is reported',
    run: namedClusters,
  },
  {
    number: 14,
    theirs: 'counters of clusters are kept for ever, and load reports of nothing go on when nobody wants any more',
    ours: 'they go with their cluster, and the stream ends',
    run: releasedCounters,
  },
]
