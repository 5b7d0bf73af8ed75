import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { MemoryCaStore } from '../../src/ca/memory-ca-store.ts'
import {
  activated,
  bundleOf,
  nextStep,
  prepared,
  pruned,
  type RootRecord,
  type RotationConditions,
  type RotationState,
} from '../../src/ca/root-rotation.ts'
import { silentLogger } from '../../src/runtime.ts'
import { dayMs, hourMs, issueRequest, openAuthority } from '../support/certificates.ts'

const root = (pin: string, given: Partial<RootRecord> = {}): RootRecord => ({
  pin,
  certificatePem: pin,
  notBeforeMs: 0,
  notAfterMs: 1000 * dayMs,
  lastLeafNotAfterMs: 0,
  ...given,
})
const steady = (signing = root('a')): RotationState => ({ bundleVersion: 1, signing, next: undefined, retired: [] })
const when = (given: Partial<RotationConditions> = {}): RotationConditions => ({
  nowMs: dayMs,
  requested: false,
  minOverlapMs: hourMs,
  acknowledged: () => true,
  ...given,
})
const pins = (state: RotationState) => bundleOf(state).map(({ pin }) => pin)

test('a root rotates on request and at half of its life', () => {
  assert.equal(nextStep(steady(), when()), 'none')
  assert.equal(nextStep(steady(), when({ requested: true })), 'prepare')
  assert.equal(nextStep(steady(), when({ nowMs: 500 * dayMs - 1 })), 'none')
  assert.equal(nextStep(steady(), when({ nowMs: 500 * dayMs })), 'prepare')
})

test('the next root is in the bundle before it signs, and signs when all clients acknowledged that bundle and the overlap is over', () => {
  const state = prepared(steady(), root('b'), dayMs)
  assert.deepEqual([pins(state), state.signing.pin, state.bundleVersion], [['b', 'a'], 'a', 2])
  const asked: number[] = []
  const acknowledged = (answer: boolean) => (version: number) => {
    asked.push(version)
    return answer
  }
  assert.equal(nextStep(state, when({ nowMs: dayMs + hourMs - 1 })), 'none')
  assert.equal(nextStep(state, when({ nowMs: 400 * dayMs, acknowledged: acknowledged(false) })), 'none')
  assert.equal(nextStep(state, when({ nowMs: dayMs + hourMs, acknowledged: acknowledged(true) })), 'activate')
  assert.deepEqual(asked, [2, 2])
})

test('a second request while the next root waits does not make a third', () => {
  const state = prepared(steady(), root('b'), dayMs)
  assert.equal(nextStep(state, when({ requested: true, acknowledged: () => false })), 'none')
})

test('with an expired root nothing is waited for', () => {
  const state = prepared(steady(), root('b'), dayMs)
  assert.equal(nextStep(state, when({ nowMs: 1000 * dayMs, acknowledged: () => false })), 'activate')
})

test('the old root stays in the bundle until the last leaf under it has expired', () => {
  const state = activated(prepared(steady(root('a', { lastLeafNotAfterMs: 50 * dayMs })), root('b'), dayMs))
  assert.deepEqual([pins(state), state.signing.pin, state.bundleVersion], [['a', 'b'], 'b', 2])
  const lastMs = 50 * dayMs + 10 * 60_000
  assert.equal(nextStep(state, when({ nowMs: lastMs - 1 })), 'none')
  assert.equal(nextStep(state, when({ nowMs: lastMs })), 'prune')
  const after = pruned(state, lastMs)
  assert.deepEqual([pins(after), after.bundleVersion], [['b'], 3])
})

test('in any course of events the bundle has the signer, and every root with a live leaf, and its version grows with each change', () => {
  const event = fc.record({
    passMs: fc.integer({ min: 0, max: 200 * dayMs }),
    requested: fc.boolean(),
    acknowledged: fc.boolean(),
    leafMs: fc.integer({ min: 0, max: 90 * dayMs }),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), events => {
      let nowMs = 0
      let state = steady()
      let made = 0
      const leaves: { pin: string; notAfterMs: number }[] = []
      for (const { passMs, requested, acknowledged, leafMs } of events) {
        nowMs += passMs
        const before = { pins: pins(state).toSorted().join(), version: state.bundleVersion }
        const step = nextStep(state, when({ nowMs, requested, acknowledged: () => acknowledged }))
        if (step === 'prepare')
          state = prepared(state, root(`r${++made}`, { notBeforeMs: nowMs, notAfterMs: nowMs + 1000 * dayMs }), nowMs)
        else if (step === 'activate') state = activated(state)
        else if (step === 'prune') state = pruned(state, nowMs)
        const after = pins(state)
        assert.equal(after.at(-1), state.signing.pin)
        assert.equal(new Set(after).size, after.length)
        assert.equal(state.bundleVersion > before.version, after.toSorted().join() !== before.pins)
        for (const { pin, notAfterMs } of leaves) assert.ok(notAfterMs <= nowMs || after.includes(pin), `${pin} has a live leaf`)
        const notAfterMs = Math.min(nowMs + leafMs, state.signing.notAfterMs)
        leaves.push({ pin: state.signing.pin, notAfterMs })
        const lastLeafNotAfterMs = Math.max(state.signing.lastLeafNotAfterMs, notAfterMs)
        state = { ...state, signing: { ...state.signing, lastLeafNotAfterMs } }
      }
    }),
  )
})

test('an authority goes through a rotation with a restart after each step', async () => {
  const { clock, store, authority: first } = await openAuthority()
  const old = first.pin
  const reopen = async () => (await openAuthority({ clock, store })).authority
  await first.issue(issueRequest())
  first.requestRotation()
  await first.advanceRotation(() => false, hourMs)

  let authority = await reopen()
  assert.deepEqual([authority.bundle.roots.length, authority.bundle.version, authority.pin], [2, 2, old])
  clock.advance(2 * hourMs)
  const { root: signer } = await authority.issue(issueRequest({ ttlMs: 30 * dayMs }))
  await authority.advanceRotation(() => false, hourMs)
  assert.equal(authority.pin, old)
  await authority.advanceRotation(version => version <= 2, hourMs)
  assert.notEqual(authority.pin, old)
  assert.equal(await store.readKey(`root-${old}`), undefined)

  authority = await reopen()
  const { certificate, bundle } = await authority.issue(issueRequest())
  assert.ok(new X509Certificate(certificate).checkIssued(new X509Certificate(bundle.roots.at(-1) ?? '')))
  assert.ok(bundle.roots.includes(signer))
  clock.advance(29 * dayMs)
  await authority.advanceRotation(() => true, hourMs)
  assert.equal(authority.bundle.roots.length, 2)
  clock.advance(2 * dayMs)
  await authority.advanceRotation(() => true, hourMs)
  authority = await reopen()
  assert.deepEqual([authority.bundle.roots.length, authority.bundle.version], [1, 3])
})

test('listeners hear of each change of the bundle and of the signer', async () => {
  const { authority } = await openAuthority()
  const versions: number[] = []
  const stop = authority.onChange(({ version }) => versions.push(version))
  authority.requestRotation()
  await authority.advanceRotation(() => true, 0)
  assert.deepEqual(versions, [2, 2, 3])
  stop()
  authority.requestRotation()
  await authority.advanceRotation(() => false, 0)
  assert.equal(versions.length, 3)
})

test('a listener that fails keeps no other from hearing, and no step from being taken', async () => {
  const told: string[] = []
  const { authority } = await openAuthority({ logger: { ...silentLogger, error: message => told.push(message) } })
  const versions: number[] = []
  authority.onChange(() => {
    throw new Error('broken')
  })
  authority.onChange(({ version }) => versions.push(version))
  authority.requestRotation()
  await authority.advanceRotation(() => false, 0)
  await authority.revoke('0a')
  assert.deepEqual(versions, [2, 2])
  assert.deepEqual(told, Array(2).fill('a change of the bundle could not be taken over'))
})

test('a leaf that is signed while the next root takes over counts for the root that signed it', async () => {
  class SlowStore extends MemoryCaStore {
    override async writeDocument(name: string, document: unknown): Promise<void> {
      await new Promise(resolve => setImmediate(resolve))
      await super.writeDocument(name, document)
    }
  }
  const { authority } = await openAuthority({ store: new SlowStore() })
  authority.requestRotation()
  await authority.advanceRotation(() => false, 0)
  const advancing = authority.advanceRotation(() => true, 0)
  const issuing = []
  // The step has begun and is not written down yet.
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  for (let turn = 0; turn < 6; turn++) {
    issuing.push(authority.issue(issueRequest({ ttlMs: 30 * dayMs })))
    await new Promise(resolve => setImmediate(resolve))
  }
  await advancing
  const roots = bundleOf(authority.rotation)
  for (const { root: signer, notAfterMs } of await Promise.all(issuing)) {
    const record = roots.find(({ certificatePem }) => certificatePem === signer) ?? assert.fail('pruned with a live leaf')
    assert.ok(record.lastLeafNotAfterMs >= notAfterMs)
  }
})

/** A disk that is full for a while. */
class FillingStore extends MemoryCaStore {
  isFull = false

  override async writeDocument(name: string, document: unknown): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    if (this.isFull) throw new Error('no space left')
    await super.writeDocument(name, document)
  }
}

test('a step that could not be written down is finished when it can be, and nothing is signed or done before', async () => {
  const store = new FillingStore()
  const { authority, clock } = await openAuthority({ store })
  const old = authority.pin
  const versions: number[] = []
  authority.onChange(({ version }) => versions.push(version))
  const advance = () => authority.advanceRotation(() => true, hourMs)
  authority.requestRotation()
  store.isFull = true
  await assert.rejects(advance(), /no space left/)
  clock.advance(2 * hourMs)
  await assert.rejects(advance(), /no space left/)
  await assert.rejects(authority.issue(issueRequest()), /no space left/)
  assert.deepEqual([authority.pin, versions], [old, []])

  store.isFull = false
  await advance()
  assert.deepEqual(versions, [2, 2], 'the bundle with the next root, and the root that signs now')
  assert.notEqual(authority.pin, old)
  const restarted = (await openAuthority({ clock, store })).authority
  assert.deepEqual(restarted.bundle, authority.bundle)
})

test('a root that took over while the disk was full leaves no key behind', async () => {
  const store = new FillingStore()
  const { authority, clock } = await openAuthority({ store })
  const old = authority.pin
  await authority.issue(issueRequest())
  authority.requestRotation()
  await authority.advanceRotation(() => false, hourMs)
  clock.advance(2 * hourMs)
  store.isFull = true
  await assert.rejects(
    authority.advanceRotation(() => true, hourMs),
    /no space left/,
  )
  await assert.rejects(authority.issue(issueRequest()), /no space left/)
  assert.notEqual(await store.readKey(`root-${old}`), undefined)
  store.isFull = false
  await authority.advanceRotation(() => true, hourMs)
  assert.equal(await store.readKey(`root-${old}`), undefined)
  assert.equal((await openAuthority({ clock, store })).authority.pin, authority.pin)
})
