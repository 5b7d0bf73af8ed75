import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { ConfigWatcher } from '../../src/discovery/config-watcher.ts'
import { ClusterConfigSchema } from '../../src/discovery/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts'
import { clustersOfInbound } from '../../src/discovery/inbound-node.ts'
import type { MeshConfig } from '../../src/discovery/model/mesh-config.ts'
import { resourceTypesOf } from '../../src/discovery/resources/decode.ts'
import { FakeResourceSource } from '../support/fake-resource-source.ts'
import {
  assignmentMessage,
  clusterMessage,
  listenerMessage,
  routeMessage,
  serverMessage,
  serviceMessages,
} from '../support/xds-resources.ts'

function setUp(change: { listenerTemplate?: string; stale?: MeshConfig } = {}) {
  const source = new FakeResourceSource()
  const changes: MeshConfig[] = []
  const watcher = new ConfigWatcher({ source, listenerTemplate: '%s', onChange: config => changes.push(config), ...change })
  return { source, watcher, changes }
}

/** A tree in short: `svc → a ready, b does-not-exist`. */
function show({ targets, clusters }: MeshConfig): string[] {
  const one = (state: { kind: string; reason?: string }) => (state.kind === 'failed' ? state.reason : state.kind)
  return [
    ...[...targets].map(([authority, state]) => `${authority} ${one(state)}`),
    ...[...clusters].map(([name, state]) => `cluster ${name} ${one(state)}`),
  ]
}

function aggregateMessage(name: string, ...clusters: string[]) {
  const message = clusterMessage(name)
  message.clusterDiscoveryType = {
    case: 'clusterType',
    value: {
      $typeName: 'envoy.config.cluster.v3.Cluster.CustomClusterType',
      name: 'envoy.clusters.aggregate',
      typedConfig: anyPack(ClusterConfigSchema, create(ClusterConfigSchema, { clusters })),
    },
  }
  return message
}

const addressesOf = (config: MeshConfig, name: string) => {
  const state = config.clusters.get(name)
  return state?.kind === 'ready'
    ? state.assignment.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address))
    : undefined
}

test('an authority appears once its listener, routes, clusters and endpoints are there', async () => {
  const { source, watcher, changes } = setUp()
  watcher.watch('svc')
  const [listener, route, cluster, assignment] = serviceMessages('svc', '10.0.0.1:80')
  for (const message of [listener, route, cluster]) {
    if (message) await source.give(message)
    assert.deepEqual(show(watcher.current), [])
  }
  if (assignment) await source.give(assignment)
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster svc ready'])
  assert.deepEqual(addressesOf(watcher.current, 'svc'), ['10.0.0.1'])
  assert.equal(changes.length, 1)
})

test('defect 1: a cluster whose endpoints never come fails alone (A74)', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  const route = routeMessage('svc', 'good', 'bad', 'gone', 'refused')
  await source.giveAll(
    listenerMessage('svc'),
    route,
    clusterMessage('good'),
    clusterMessage('bad'),
    assignmentMessage('good', '10.0.0.1:80'),
  )
  await source.fail('clusterLoadAssignment', 'bad', 'does-not-exist')
  await source.fail('cluster', 'gone', 'does-not-exist')
  await source.fail('cluster', 'refused', 'invalid')
  assert.deepEqual(show(watcher.current), [
    'svc ready',
    'cluster good ready',
    'cluster bad does-not-exist',
    'cluster gone does-not-exist',
    'cluster refused invalid',
  ])
  await source.give(assignmentMessage('bad', '10.0.0.2:80'))
  assert.deepEqual(addressesOf(watcher.current, 'bad'), ['10.0.0.2'])
})

test('defect 2: a listener or routes that do not exist fail the authority, with a reason, and no other', async () => {
  const { source, watcher } = setUp()
  watcher.watch('gone:80')
  watcher.watch('lost:80')
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'), listenerMessage('lost:80'))
  await source.fail('listener', 'gone:80', 'does-not-exist')
  await source.fail('routeConfiguration', 'lost:80', 'does-not-exist')
  const { targets } = watcher.current
  assert.deepEqual(targets.get('gone:80'), {
    kind: 'failed',
    reason: 'does-not-exist',
    message: 'Listener "gone:80": the control plane does not have it',
  })
  assert.deepEqual(targets.get('lost:80'), {
    kind: 'failed',
    reason: 'does-not-exist',
    message: 'RouteConfiguration "lost:80": the control plane does not have it',
  })
  assert.equal(targets.get('svc')?.kind, 'ready')
})

test('defect 14: what was deleted is not brought back by a later cluster or endpoint update', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc:80')
  await source.giveAll(...serviceMessages('svc:80', '10.0.0.1:80'))
  await source.fail('listener', 'svc:80', 'does-not-exist')
  assert.deepEqual(show(watcher.current), ['svc:80 does-not-exist'])
  await source.give(clusterMessage('svc:80'), assignmentMessage('svc:80', '10.0.0.2:80'))
  assert.deepEqual(show(watcher.current), ['svc:80 does-not-exist'])
  assert.deepEqual(source.watched('cluster'), [])
})

test('defect 4: an authority that was deleted comes back with the same resources', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc:80')
  await source.giveAll(...serviceMessages('svc:80', '10.0.0.1:80'))
  await source.fail('listener', 'svc:80', 'does-not-exist')
  await source.giveAll(...serviceMessages('svc:80', '10.0.0.1:80'))
  assert.deepEqual(show(watcher.current), ['svc:80 ready', 'cluster svc:80 ready'])
})

test('a listener in use that is deleted is gone, though the control plane says nothing of its other name', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'))
  assert.deepEqual(source.watched('listener'), ['svc', 'svc:80'])
  await source.fail('listener', 'svc', 'does-not-exist')
  assert.deepEqual(show(watcher.current), ['svc does-not-exist'])
  await source.giveAll(...serviceMessages('svc:80', '10.0.0.2:80'))
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster svc:80 ready'])
  await source.fail('listener', 'svc:80', 'does-not-exist')
  assert.deepEqual(show(watcher.current), ['svc does-not-exist'])
})

test('new routes wait for their clusters while the old ones stay, clusters included (A31)', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  await source.giveAll(
    listenerMessage('svc'),
    routeMessage('svc', 'blue'),
    clusterMessage('blue'),
    assignmentMessage('blue', '10.0.0.1:80'),
  )
  const before = watcher.current
  await source.give(routeMessage('svc', 'green'))
  await source.give(clusterMessage('green'))
  assert.equal(watcher.current, before)
  assert.deepEqual(source.watched('cluster'), ['blue', 'green'])
  await source.give(assignmentMessage('green', '10.0.0.2:80'))
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster green ready'])
  assert.deepEqual(source.watched('cluster'), ['green'])
  assert.deepEqual(source.watched('clusterLoadAssignment'), ['green'])
})

test('new routes also wait when the control plane goes away before their clusters came', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'))
  const before = watcher.current
  await source.give(routeMessage('svc', 'green'))
  await source.fail('cluster', 'green', 'unavailable')
  assert.equal(watcher.current, before)
})

test('a cluster that moves to other endpoints keeps the old ones until the new are there', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'))
  await source.give(clusterMessage('svc', 'other'))
  assert.deepEqual(addressesOf(watcher.current, 'svc'), ['10.0.0.1'])
  await source.give(assignmentMessage('other', '10.0.0.2:80'))
  assert.deepEqual(addressesOf(watcher.current, 'svc'), ['10.0.0.2'])
  assert.deepEqual(source.watched('clusterLoadAssignment'), ['other'])
})

test('a cluster is shared by authorities and leaves with the last', async () => {
  const { source, watcher } = setUp()
  watcher.watch('one')
  watcher.watch('two')
  await source.giveAll(
    listenerMessage('one'),
    listenerMessage('two'),
    routeMessage('one', 'shared'),
    routeMessage('two', 'shared'),
    clusterMessage('shared'),
    assignmentMessage('shared', '10.0.0.1:80'),
  )
  watcher.unwatch('one')
  watcher.unwatch('one')
  assert.deepEqual(show(watcher.current), ['two ready', 'cluster shared ready'])
  watcher.unwatch('two')
  assert.deepEqual(show(watcher.current), [])
  for (const kind of ['listener', 'routeConfiguration', 'cluster', 'clusterLoadAssignment'] as const) {
    assert.deepEqual(source.watched(kind), [])
  }
})

test('unchanged parts keep their identity, and one turn makes one tree', async () => {
  const { source, watcher, changes } = setUp()
  watcher.watch('one')
  watcher.watch('two')
  await source.giveAll(...serviceMessages('one', '10.0.0.1:80'), ...serviceMessages('two', '10.0.0.2:80'))
  const before = watcher.current
  changes.length = 0
  await source.give(assignmentMessage('one', '10.0.0.3:80'), assignmentMessage('two', '10.0.0.4:80'))
  assert.equal(changes.length, 1)
  const after = watcher.current
  assert.equal(after.targets, before.targets)
  const [old, fresh] = [before.clusters.get('one'), after.clusters.get('one')]
  assert.ok(old?.kind === 'ready' && fresh?.kind === 'ready')
  assert.equal(fresh.config, old.config)
  await source.give(routeMessage('one', 'one', 'two'))
  assert.equal(watcher.current.clusters, after.clusters)
  assert.equal(watcher.current.targets.get('two'), after.targets.get('two'))
  assert.notEqual(watcher.current.targets.get('one'), after.targets.get('one'))
})

test('an aggregate brings its children, however deep, and each child stands for itself', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  await source.giveAll(
    listenerMessage('svc'),
    routeMessage('svc', 'top'),
    aggregateMessage('top', 'middle', 'gone'),
    aggregateMessage('middle', 'leaf'),
    clusterMessage('leaf'),
  )
  await source.fail('cluster', 'gone', 'does-not-exist')
  assert.deepEqual(show(watcher.current), [])
  await source.give(assignmentMessage('leaf', '10.0.0.1:80'))
  assert.deepEqual(show(watcher.current).sort(), [
    'cluster gone does-not-exist',
    'cluster leaf ready',
    'cluster middle ready',
    'cluster top ready',
    'svc ready',
  ])
  await source.give(aggregateMessage('top', 'leaf'))
  assert.deepEqual(source.watched('cluster'), ['leaf', 'top'])
})

test('aggregates more than 16 deep, or in a circle, fail where they begin (A37)', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  const chain = Array.from({ length: 16 }, (_, level) => aggregateMessage(`level-${level}`, `level-${level + 1}`))
  const leaf = [clusterMessage('level-16'), assignmentMessage('level-16', '10.0.0.1:80')]
  const circle = [aggregateMessage('x', 'y', 'x'), aggregateMessage('y', 'x')]
  await source.give(listenerMessage('svc'))
  await source.give(routeMessage('svc', 'level-0', 'x'))
  for (const message of [...chain, ...leaf, ...circle]) await source.give(message)
  const states = new Map([...watcher.current.clusters].map(([name, { kind }]) => [name, kind]))
  assert.equal(states.get('level-0'), 'failed')
  assert.equal(states.get('level-1'), 'ready')
  assert.equal(states.get('x'), 'failed')
  const again = watcher.current.clusters.get('x')
  await source.give(assignmentMessage('level-16', '10.0.0.2:80'))
  assert.equal(watcher.current.clusters.get('x'), again)
})

test('only the virtual host of the authority leads to clusters', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  const route = routeMessage('svc', 'other')
  const [all] = route.virtualHosts
  const [own] = routeMessage('svc', 'svc').virtualHosts
  assert.ok(all && own)
  own.name = 'own'
  own.domains = ['svc']
  route.virtualHosts.push(own)
  await source.giveAll(listenerMessage('svc'), route, clusterMessage('svc'), assignmentMessage('svc', '10.0.0.1:80'))
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster svc ready'])
  assert.deepEqual(source.watched('cluster'), ['svc'])
})

test('a template names the listener, and an authority without a port may be listed with 80', async () => {
  const { source, watcher } = setUp({ listenerTemplate: 'mesh/%s' })
  watcher.watch('svc')
  watcher.watch('other:90')
  watcher.watch('[::1]')
  assert.deepEqual(source.watched('listener'), ['mesh/[::1]', 'mesh/[::1]:80', 'mesh/other:90', 'mesh/svc', 'mesh/svc:80'])
  const route = routeMessage('r80', 'c')
  const rest = [clusterMessage('c'), assignmentMessage('c', '10.0.0.1:80')]
  await source.giveAll(listenerMessage('mesh/svc:80', 'r80'), route, ...rest)
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster c ready'])
  await source.giveAll(listenerMessage('mesh/svc', 'r'), routeMessage('r', 'c'))
  const target = watcher.current.targets.get('svc')
  assert.ok(target?.kind === 'ready')
  assert.equal(target.listener.name, 'mesh/svc')
})

test('in an xdstp template the authority is percent-encoded', () => {
  const { source, watcher } = setUp({ listenerTemplate: 'xdstp://a/envoy.config.listener.v3.Listener/%s' })
  watcher.watch('a b%:1')
  assert.deepEqual(source.watched('listener'), ['xdstp://a/envoy.config.listener.v3.Listener/a%20b%25:1'])
})

async function earlierLife(): Promise<MeshConfig> {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.9:80'))
  return watcher.current
}

test('a tree of an earlier life is used at once, until a whole one has come', async () => {
  const stale = await earlierLife()
  const { source, watcher, changes } = setUp({ stale })
  watcher.watch('svc')
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster svc ready'])
  assert.equal(changes.length, 1)
  assert.deepEqual(watcher.staleAuthorities, ['svc'])
  await source.give(listenerMessage('svc', 'r2'))
  await source.give(routeMessage('r2', 'new'))
  await source.give(clusterMessage('new'))
  assert.deepEqual(addressesOf(watcher.current, 'svc'), ['10.0.0.9'])
  await source.give(assignmentMessage('new', '10.0.0.1:80'))
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster new ready'])
  assert.deepEqual(watcher.staleAuthorities, [])
})

test('a tree of an earlier life is not given up for a control plane that fails or knows nothing', async () => {
  const { source, watcher } = setUp({ stale: await earlierLife() })
  watcher.watch('svc')
  const before = watcher.current
  for (const reason of ['unavailable', 'does-not-exist'] as const) {
    for (const name of ['svc', 'svc:80']) await source.fail('listener', name, reason)
    await source.fail('cluster', 'svc', reason)
  }
  assert.equal(watcher.current, before)
  await source.give(clusterMessage('svc'))
  await source.give(assignmentMessage('svc', '10.0.0.1:80'))
  assert.deepEqual(addressesOf(watcher.current, 'svc'), ['10.0.0.1'])
})

test('with nothing earlier an unreachable control plane fails the authority until it comes', async () => {
  const { source, watcher } = setUp()
  watcher.watch('svc')
  for (const name of ['svc', 'svc:80']) await source.fail('listener', name, 'unavailable')
  assert.deepEqual(show(watcher.current), ['svc unavailable'])
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'))
  assert.deepEqual(show(watcher.current), ['svc ready', 'cluster svc ready'])
})

test('a server is published once it is known whom its filters can ask, and replaced in the same way', async () => {
  const source = new FakeResourceSource(resourceTypesOf({ isInbound: name => name === 'server', isForGrpc: false }))
  const watcher = new ConfigWatcher({ source, listenerTemplate: '%s', onChange: () => {} })
  watcher.watchInbound('server')
  const asked = ({ inbound }: MeshConfig) => {
    const state = inbound.get('server')
    return state?.kind === 'ready' ? clustersOfInbound(state) : []
  }
  await source.give(serverMessage('server', 'authz'))
  assert.deepEqual([asked(watcher.current), show(watcher.current)], [[], []])
  await source.give(clusterMessage('authz'))
  await source.give(assignmentMessage('authz', '10.0.0.1:80'))
  assert.deepEqual([asked(watcher.current), show(watcher.current)], [['authz'], ['cluster authz ready']])

  await source.give(serverMessage('server', 'other'))
  assert.deepEqual([asked(watcher.current), show(watcher.current)], [['authz'], ['cluster authz ready']])
  await source.fail('cluster', 'other', 'does-not-exist')
  assert.deepEqual([asked(watcher.current), show(watcher.current)], [['other'], ['cluster other does-not-exist']])
  assert.deepEqual(source.watched('cluster'), ['other'])

  watcher.unwatchInbound('server')
  assert.deepEqual([show(watcher.current), source.watched('cluster')], [[], []])
})

test('A88: what is wrong with something in use is told until a better one comes, and of each resource by itself', async () => {
  const source = new FakeResourceSource(undefined, false)
  const watcher = new ConfigWatcher({ source, listenerTemplate: '%s', onChange: () => {} })
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'))
  await source.fail('listener', 'svc', 'invalid')
  await source.fail('routeConfiguration', 'svc', 'invalid')
  await source.fail('clusterLoadAssignment', 'svc', 'invalid')
  assert.deepEqual(watcher.ambientErrors, ['svc is bad'])
  await source.give(routeMessage('svc', 'svc', 'other'), assignmentMessage('svc', '10.0.0.2:80'))
  assert.deepEqual(watcher.ambientErrors, ['svc is bad'], 'of the listener')
  await source.give(listenerMessage('svc', 'svc', 'newer'))
  assert.deepEqual(watcher.ambientErrors, [])
})

test('A88: an error of routes that are not asked for any more is none', async () => {
  const source = new FakeResourceSource(undefined, false)
  const watcher = new ConfigWatcher({ source, listenerTemplate: '%s', onChange: () => {} })
  watcher.watch('svc')
  await source.giveAll(...serviceMessages('svc', '10.0.0.1:80'))
  await source.fail('routeConfiguration', 'svc', 'invalid')
  await source.give(listenerMessage('svc', 'others'))
  assert.deepEqual(watcher.ambientErrors, [])
})
