import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigWatcher } from '../../src/discovery/config-watcher.ts'
import { LastKnownGood } from '../../src/discovery/last-known-good.ts'
import type { ClusterState, MeshConfig } from '../../src/discovery/model/mesh-config.ts'
import { readConfig, type SavedConfig, writeConfig } from '../../src/discovery/saved-config.ts'
import { type Logger, silentLogger } from '../../src/runtime.ts'
import { FakeResourceSource } from '../support/fake-resource-source.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { scriptedRandom } from '../support/seeded-random.ts'
import { serviceMessages } from '../support/xds-resources.ts'

interface Cleaner {
  after(clean: () => void): void
}

async function treeOf(name: string, ...addresses: string[]): Promise<MeshConfig> {
  const source = new FakeResourceSource()
  const watcher = new ConfigWatcher({ source, listenerTemplate: '%s', onChange() {} })
  watcher.watch(name)
  await source.giveAll(...serviceMessages(name, ...addresses))
  return watcher.current
}

function setUp(t: Cleaner, epoch?: number) {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const clock = new ManualClock(epoch)
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: message => warnings.push(message) }
  const path = join(folder, 'deep/config.jsonl')
  const open = () => new LastKnownGood({ path, runtime: { clock, random: scriptedRandom(0.5), logger } })
  return { folder, clock, warnings, path, open }
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value, (_key, each) => (each instanceof Map ? [...each] : each)))
const noVersions = () => ({})

test('what was written is read again, infinities included', async t => {
  const { path, open, clock, folder } = setUp(t)
  const tree = await treeOf('svc', '10.0.0.1:80', '10.0.0.2:80')
  const cluster = tree.clusters.get('svc')
  assert.ok(cluster?.kind === 'ready')
  const { circuitBreakers } = cluster.config
  const unlimited = { ...circuitBreakers, default: { ...circuitBreakers.default, maxRequests: Number.POSITIVE_INFINITY } }
  const state: ClusterState = { ...cluster, config: { ...cluster.config, circuitBreakers: unlimited } }
  const first = open()
  assert.equal(first.load(), undefined)
  first.save({ ...tree, clusters: new Map([['svc', state]]) }, () => ({ T: { svc: '7' } }))
  await first.flush()
  clock.advance(5_000)
  const loaded = open().load()
  assert.ok(loaded)
  assert.deepEqual(plain(loaded.config.targets), plain(tree.targets))
  const read = loaded.config.clusters.get('svc')
  assert.ok(read?.kind === 'ready')
  assert.equal(read.config.circuitBreakers.default.maxRequests, Number.POSITIVE_INFINITY)
  assert.deepEqual(plain(read.assignment), plain(cluster.assignment))
  assert.equal(clock.wallNow() - loaded.savedAt, 5_000)
  assert.match(readFileSync(path, 'utf8'), /"versions":\{"T":\{"svc":"7"\}\}/)
  assert.deepEqual(readdirSync(join(folder, 'deep')), ['config.jsonl'])
})

test('only the newest of many changes is written, a second after the first', async t => {
  const { open, clock, path } = setUp(t)
  const store = open()
  let written = 0
  const versions = () => ({ T: { count: `${++written}` } })
  for (const name of ['a', 'b', 'c']) store.save(await treeOf(name, '10.0.0.1:80'), versions)
  clock.advance(999)
  assert.equal(written, 0)
  clock.advance(1)
  await store.flush()
  assert.equal(written, 1)
  assert.deepEqual([...readConfig(readFileSync(path, 'utf8')).targets.keys()], ['c'])
})

test('what cannot be used is not written', async t => {
  const { open, path } = setUp(t)
  const tree = await treeOf('svc', '10.0.0.1:80')
  const failed = { kind: 'failed', reason: 'unavailable', message: '' } as const
  const store = open()
  store.save(
    { ...tree, targets: new Map([...tree.targets, ['x', failed]]), clusters: new Map([...tree.clusters, ['y', failed]]) },
    noVersions,
  )
  await store.flush()
  const saved = readConfig(readFileSync(path, 'utf8'))
  assert.deepEqual([[...saved.targets.keys()], [...saved.clusters.keys()]], [['svc'], ['svc']])
})

test('authorities of an earlier life stay for the next, for a week', async t => {
  const { open, clock } = setUp(t)
  const first = open()
  first.save(await treeOf('old', '10.0.0.1:80'), noVersions)
  await first.flush()
  const day = 24 * 60 * 60 * 1_000
  for (const [days, expected] of [
    [3, ['old', 'new']],
    [5, ['new']],
  ] as const) {
    clock.advance(days * day)
    const store = open()
    store.load()
    store.save(await treeOf('new', '10.0.0.2:80'), noVersions)
    await store.flush()
    const { config } = open().load() ?? assert.fail('nothing was written')
    assert.deepEqual([...config.targets.keys()], expected)
    assert.deepEqual([...config.clusters.keys()], expected)
  }
})

test('a damaged file is ignored with one warning', async t => {
  const { open, warnings, path, folder } = setUp(t)
  const good = open()
  good.save(await treeOf('svc', '10.0.0.1:80'), noVersions)
  await good.flush()
  const text = readFileSync(path, 'utf8')
  const damaged = [
    '',
    '{',
    'null\n',
    '[]\n[]\n',
    text.slice(0, -30),
    text.replace(/inmesh-config \d+/, 'inmesh-config 0'),
    text.replace('"10.', '"1\n0.'),
  ]
  for (const each of damaged) {
    writeFileSync(path, each)
    warnings.length = 0
    assert.equal(open().load(), undefined, JSON.stringify(each.slice(0, 40)))
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /^the last known configuration is ignored: /)
  }
  rmSync(path)
  mkdirSync(path)
  warnings.length = 0
  assert.equal(open().load(), undefined)
  assert.match(warnings[0] ?? '', /cannot be read/)
  assert.ok(folder)
})

test('a disk that cannot be written costs one warning', async t => {
  const { open, warnings, folder } = setUp(t)
  // Not by mode alone: the superuser may write anywhere.
  writeFileSync(join(folder, 'deep'), '')
  chmodSync(folder, 0o500)
  const store = open()
  for (const name of ['a', 'b']) {
    store.save(await treeOf(name, '10.0.0.1:80'), noVersions)
    await store.flush()
  }
  chmodSync(folder, 0o700)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^the last known configuration cannot be written: /)
})

test('10,000 endpoints are written in slices and read again', async () => {
  const addresses = Array.from({ length: 10_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}:80`)
  const { targets, clusters } = await treeOf('svc', ...addresses)
  const saved: SavedConfig = { savedAt: 1, targets: new Map(), clusters: new Map(), inbound: new Map(), versions: {} }
  const [[, target] = assert.fail()] = targets
  const [[, cluster] = assert.fail()] = clusters
  assert.ok(target.kind === 'ready' && cluster.kind === 'ready')
  const whole = { ...saved, targets: new Map([['svc', { at: 1, state: target }]]), clusters: new Map([['svc', cluster]]) }
  const work = writeConfig(whole)
  let slices = 0
  let step = work.next()
  for (; step.done !== true; step = work.next()) slices++
  assert.ok(slices > 20)
  assert.deepEqual(plain(readConfig(step.value)), plain(whole))
})
