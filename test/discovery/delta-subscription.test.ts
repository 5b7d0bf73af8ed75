import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeltaSubscription } from '../../src/discovery/delta-subscription.ts'

const none = () => undefined
const request = (subscribe: string[], unsubscribe: string[] = [], change: object = {}) => ({
  protocol: 'delta',
  typeUrl: 'T',
  nonce: '',
  refusal: undefined,
  subscribe,
  unsubscribe,
  initialVersions: {},
  ...change,
})
const plain = (value: unknown): unknown =>
  value === undefined ? undefined : { ...value, initialVersions: { ...Object(value).initialVersions } }

test('says nothing before there is a name, since that would ask for everything', () => {
  const subscription = new DeltaSubscription('T')
  assert.equal(subscription.poll(new Set(), none), undefined)
  subscription.respond('1', 'a', undefined)
  assert.equal(subscription.poll(new Set(), none), undefined)
})

test('says only what changed', () => {
  const subscription = new DeltaSubscription('T')
  assert.deepEqual(plain(subscription.poll(new Set(['a', 'b']), none)), request(['a', 'b']))
  assert.equal(subscription.poll(new Set(['a', 'b']), none), undefined)
  assert.deepEqual(plain(subscription.poll(new Set(['b', 'c']), none)), request(['c'], ['a']))
  assert.deepEqual(plain(subscription.poll(new Set(), none)), request([], ['b', 'c']))
})

test('answers a response once, together with what changed', () => {
  const subscription = new DeltaSubscription('T')
  subscription.poll(new Set(['a']), none)
  subscription.respond('7', 'x', 'bad')
  assert.deepEqual(plain(subscription.poll(new Set(['a', 'b']), none)), request(['b'], [], { nonce: 'x', refusal: 'bad' }))
  assert.deepEqual(plain(subscription.poll(new Set(['a']), none)), request([], ['b']))
})

test('a new stream names everything again, with the versions that are held', () => {
  const subscription = new DeltaSubscription('T')
  subscription.poll(new Set(['a', 'b']), none)
  subscription.open()
  const versionOf = (name: string) => (name === 'a' ? 'v1' : undefined)
  assert.deepEqual(
    plain(subscription.poll(new Set(['a', 'b']), versionOf)),
    request(['a', 'b'], [], { initialVersions: { a: 'v1' } }),
  )
  assert.deepEqual(plain(subscription.poll(new Set(['a', 'b', 'c']), versionOf)), request(['c']))
})

test('a resource may be called __proto__', () => {
  const sent = new DeltaSubscription('T').poll(new Set(['__proto__']), () => 'v1')
  assert.deepEqual(Object.keys(sent?.initialVersions ?? {}), ['__proto__'])
})

const name = fc.constantFrom('a', 'b', 'c')
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), name }),
  fc.record({ kind: fc.constant('remove' as const), name }),
  fc.record({ kind: fc.constant('respond' as const) }),
  fc.record({ kind: fc.constant('reopen' as const) }),
  fc.record({ kind: fc.constant('poll' as const) }),
)

test('whatever happens, the server ends up with the names that are wanted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const subscription = new DeltaSubscription('T')
      const wanted = new Set<string>()
      let known = new Set<string>()
      let isFirst = true
      let nonce = 0
      let unanswered: string | undefined
      const poll = () => {
        const sent = subscription.poll(wanted, none)
        if (!sent) return
        if (isFirst) assert.ok(sent.subscribe.length > 0 && sent.unsubscribe.length === 0)
        isFirst = false
        for (const each of sent.unsubscribe) assert.ok(known.delete(each))
        for (const each of sent.subscribe) assert.ok(!known.has(each) && known.add(each))
        assert.equal(sent.nonce, unanswered ?? '')
        unanswered = undefined
      }
      for (const each of steps) {
        if (each.kind === 'add') wanted.add(each.name)
        else if (each.kind === 'remove') wanted.delete(each.name)
        else if (each.kind === 'respond' && !isFirst) {
          unanswered = `${++nonce}`
          subscription.respond('', unanswered, undefined)
        } else if (each.kind === 'reopen') {
          subscription.open()
          known = new Set()
          isFirst = true
          unanswered = undefined
        } else if (each.kind === 'poll') poll()
      }
      poll()
      assert.deepEqual([...known].sort(), [...wanted].sort())
      assert.equal(unanswered, undefined)
    }),
  )
})
