import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResourceStore, type ResourceStoreOptions } from '../../src/discovery/resource-store.ts'
import type { ResourceWatcher } from '../../src/discovery/resource-watcher.ts'
import { ManualClock } from '../support/manual-clock.ts'

class Recorder implements ResourceWatcher<string> {
  readonly events: string[] = []

  onResourceChanged(result: Parameters<ResourceWatcher<string>['onResourceChanged']>[0]): void {
    this.events.push(result.ok ? `value ${result.value}` : `${result.error.reason}: ${result.error.message}`)
  }

  onAmbientError(error: Parameters<ResourceWatcher<string>['onAmbientError']>[0]): void {
    this.events.push(error ? `ambient ${error.reason}: ${error.message}` : 'ambient over')
  }

  take(): string[] {
    return this.events.splice(0)
  }
}

const bytes = (text: string) => new TextEncoder().encode(text)

function setUp(change: Partial<ResourceStoreOptions> = {}) {
  const clock = new ManualClock()
  const options = { kind: 'Cluster', clock, timeoutMs: 15_000, timeoutIsTransient: false, dropOnDataError: false, ...change }
  const store = new ResourceStore<string>(options)
  const watcher = new Recorder()
  const unwatch = store.watch('a', watcher)
  return { clock, store, watcher, unwatch }
}

const silence = 'Cluster "a": the control plane said nothing of it for 15 s'

test('A57: a resource that a connected server does not mention for 15 s does not exist', () => {
  const { clock, store, watcher } = setUp()
  clock.advance(60_000)
  assert.deepEqual(watcher.take(), [])
  store.startTimers(['a'])
  clock.advance(14_999)
  assert.deepEqual(watcher.take(), [])
  clock.advance(1)
  assert.deepEqual(watcher.take(), [`does-not-exist: ${silence}`])
})

test('A57: asking again does not start the wait anew, and an answer or the end of the stream ends it', () => {
  const { clock, store, watcher } = setUp()
  store.startTimers(['a'])
  clock.advance(10_000)
  store.startTimers(['a'])
  store.accept('a', '1', bytes('1'), 'v')
  assert.equal(clock.pendingTimers, 0)
  store.startTimers(['a'])
  assert.equal(clock.pendingTimers, 0)
  assert.deepEqual(watcher.take(), ['value 1'])
})

test('defect 14: timers end with the subscription and with the stream', () => {
  const { clock, store, watcher, unwatch } = setUp()
  store.startTimers(['a'])
  store.stopTimers()
  assert.equal(clock.pendingTimers, 0)
  store.startTimers(['a'])
  unwatch()
  assert.deepEqual(store.sweep(), new Set())
  assert.equal(clock.pendingTimers, 0)
  clock.advance(60_000)
  assert.deepEqual(watcher.take(), [])
})

test('A88: with resource_timer_is_transient_error silence means unavailable', () => {
  const { clock, store, watcher } = setUp({ timeoutMs: 30_000, timeoutIsTransient: true })
  store.startTimers(['a'])
  clock.advance(30_000)
  assert.deepEqual(watcher.take(), ['unavailable: Cluster "a": the control plane said nothing of it for 30 s'])
})

test('A88: what is held outlives a deletion, a bad update and a lost server, and the error ends with the next good one', () => {
  const { store, watcher } = setUp()
  store.accept('a', '1', bytes('1'), 'v')
  store.remove('a')
  store.remove('a')
  assert.deepEqual(watcher.take(), ['value 1', 'ambient does-not-exist: Cluster "a": the control plane does not have it'])
  store.unreachable('down')
  assert.deepEqual(watcher.take(), [])
  store.refuse('a', 'bad')
  assert.deepEqual(watcher.take(), ['ambient invalid: bad'])
  store.keep('a', 'v2')
  assert.deepEqual(watcher.take(), ['ambient over'])
  assert.equal(store.versionOf('a'), 'v2')
})

test('A88: with fail_on_data_errors a deletion or a bad update ends the use', () => {
  const { store, watcher } = setUp({ dropOnDataError: true })
  store.accept('a', '1', bytes('1'), 'v')
  store.refuse('a', 'bad')
  assert.deepEqual(watcher.take(), ['value 1', 'invalid: bad'])
  assert.equal(store.versionOf('a'), undefined)
  store.unreachable('down')
  assert.deepEqual(watcher.take(), [])
})

test('A88: a lost server is an error where nothing is held, and an ambient one elsewhere, until it answers', () => {
  const { store, watcher } = setUp()
  const other = new Recorder()
  store.watch('b', other)
  store.accept('b', '2', bytes('2'), 'v')
  store.unreachable('down')
  store.unreachable('down')
  assert.deepEqual(watcher.take(), ['unavailable: down'])
  assert.deepEqual(other.take(), ['value 2', 'ambient unavailable: down'])
  store.reachable()
  assert.deepEqual(other.take(), ['ambient over'])
})

test('defect 4: a resource that was deleted and comes back the same is new', () => {
  const { store, watcher } = setUp({ dropOnDataError: true })
  store.accept('a', '1', bytes('1'), 'v')
  store.remove('a')
  assert.equal(store.holds('a', bytes('1')), false)
  store.accept('a', '1', bytes('1'), 'v')
  assert.deepEqual(watcher.take(), ['value 1', 'does-not-exist: Cluster "a": the control plane does not have it', 'value 1'])
})

test('defect 6: only equal bytes are the same resource', () => {
  const { store } = setUp()
  store.accept('a', '1', bytes('some'), 'v')
  assert.equal(store.holds('a', bytes('some')), true)
  assert.equal(store.holds('a', bytes('some more')), false)
  assert.equal(store.holds('a', bytes('som')), false)
  assert.equal(store.holds('b', bytes('some')), false)
})

test('a second watcher is told at once what is known, and then what is wrong', () => {
  const { store } = setUp()
  store.accept('a', '1', bytes('1'), 'v')
  store.refuse('a', 'bad')
  const second = new Recorder()
  const unwatch = store.watch('a', second)
  assert.deepEqual(second.take(), ['value 1', 'ambient invalid: bad'])
  unwatch()
  store.accept('a', '2', bytes('2'), 'v')
  assert.deepEqual(second.take(), [])
  assert.deepEqual(store.sweep(), new Set(['a']))
})

test('a watch that ends and begins again in one turn keeps what is held', () => {
  const { store, unwatch } = setUp()
  store.accept('a', '1', bytes('1'), 'v')
  unwatch()
  const second = new Recorder()
  store.watch('a', second)
  assert.deepEqual(store.sweep(), new Set(['a']))
  assert.deepEqual(second.take(), ['value 1'])
})

test('A40, A88: a dump says what was last heard of a resource, and what is in use', () => {
  const { clock, store } = setUp()
  const show = () => {
    const { status, held, updatedAt, failure } = store.dump('a') ?? assert.fail('not watched')
    const what = failure === undefined ? '' : ` ${failure.version}: ${failure.details} at ${(failure.at ?? 0) - wall}`
    return `${status} ${held?.version ?? '-'} ${updatedAt === undefined ? '-' : updatedAt - wall}${what}`
  }
  const wall = clock.wallNow()
  assert.equal(store.dump('b'), undefined)
  assert.equal(show(), 'requested - -')
  store.unreachable('down')
  assert.equal(show(), 'requested - -')
  clock.advance(1)
  store.accept('a', '1', bytes('1'), 'v1')
  assert.equal(show(), 'acked v1 1')
  assert.deepEqual(store.dump('a')?.held?.bytes, bytes('1'))
  clock.advance(1)
  store.refuse('a', 'bad', 'v2')
  assert.equal(show(), 'nacked v1 1 v2: bad at 2')
  clock.advance(1)
  store.keep('a', 'v3')
  assert.equal(show(), 'acked v3 3')
  store.deny('a', 'not yours', 'v4')
  assert.equal(show(), 'received-error v3 3 v4: not yours at 3')
  clock.advance(1)
  store.remove('a', 'v5')
  assert.equal(show(), 'does-not-exist v3 3 v5: the control plane does not have it at 4')
  store.keep('a', 'v6')
  assert.equal(show(), 'acked v6 4')
})

test('A88: a dump tells a silence that is transient from one that is not', () => {
  for (const [timeoutIsTransient, status] of [
    [true, 'timeout'],
    [false, 'does-not-exist'],
  ] as const) {
    const { clock, store } = setUp({ timeoutIsTransient })
    store.startTimers(['a'])
    clock.advance(15_000)
    assert.equal(store.dump('a')?.status, status)
    const details = 'the control plane said nothing of it for 15 s'
    assert.deepEqual(store.dump('a')?.failure, { version: '', details, at: undefined })
  }
})

test('a dump of a resource that is dropped holds nothing of it', () => {
  const { store } = setUp({ dropOnDataError: true })
  store.accept('a', '1', bytes('1'), 'v')
  store.refuse('a', 'bad', 'v2')
  assert.deepEqual([store.dump('a')?.status, store.dump('a')?.held], ['nacked', undefined])
})
