import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SotwSubscription } from '../../src/discovery/sotw-subscription.ts'

const request = (names: string[], nonce = '', version = '', refusal?: string) => ({
  protocol: 'sotw',
  typeUrl: 'T',
  version,
  nonce,
  refusal,
  names,
})

test('says nothing before there is a name, since that would ask for everything', () => {
  const subscription = new SotwSubscription('T')
  assert.equal(subscription.poll(new Set()), undefined)
  subscription.respond('1', 'a', undefined)
  assert.equal(subscription.poll(new Set()), undefined)
})

test('names all that is wanted in every request, and only says what is new', () => {
  const subscription = new SotwSubscription('T')
  assert.deepEqual(subscription.poll(new Set(['a'])), request(['a']))
  assert.equal(subscription.poll(new Set(['a'])), undefined)
  assert.deepEqual(subscription.poll(new Set(['a', 'b'])), request(['a', 'b']))
  assert.deepEqual(subscription.poll(new Set()), request([]))
})

test('an ACK says the new version and nonce, once, with the newest names', () => {
  const subscription = new SotwSubscription('T')
  subscription.poll(new Set(['a']))
  subscription.respond('7', 'x', undefined)
  assert.deepEqual(subscription.poll(new Set(['a', 'b'])), request(['a', 'b'], 'x', '7'))
  assert.equal(subscription.poll(new Set(['a', 'b'])), undefined)
})

test('a NACK says the new nonce, the last good version and what is wrong', () => {
  const subscription = new SotwSubscription('T')
  subscription.poll(new Set(['a']))
  subscription.respond('7', 'x', undefined)
  subscription.poll(new Set(['a']))
  subscription.respond('8', 'y', 'bad')
  assert.deepEqual(subscription.poll(new Set(['a'])), request(['a'], 'y', '7', 'bad'))
  assert.deepEqual(subscription.poll(new Set(['b'])), request(['b'], 'y', '7'))
})

test('a new stream starts without a nonce and with the version that is held', () => {
  const subscription = new SotwSubscription('T')
  subscription.poll(new Set(['a']))
  subscription.respond('7', 'x', undefined)
  subscription.open()
  assert.deepEqual(subscription.poll(new Set(['a'])), request(['a'], '', '7'))
})

const name = fc.constantFrom('a', 'b', 'c')
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), name }),
  fc.record({ kind: fc.constant('remove' as const), name }),
  fc.record({ kind: fc.constant('respond' as const), good: fc.boolean() }),
  fc.record({ kind: fc.constant('reopen' as const) }),
  fc.record({ kind: fc.constant('poll' as const) }),
)

test('whatever happens, the server knows the names, hears of every response once, and is never asked for everything', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const subscription = new SotwSubscription('T')
      const wanted = new Set<string>()
      let known: readonly string[] = []
      let isFirst = true
      let nonce = 0
      let unanswered: string | undefined
      let accepted = ''
      const poll = () => {
        const sent = subscription.poll(wanted)
        if (!sent) return
        if (isFirst) assert.ok(sent.names.length > 0)
        isFirst = false
        known = sent.names
        if (unanswered !== undefined) assert.equal(sent.nonce, unanswered)
        unanswered = undefined
        assert.equal(sent.version, accepted)
      }
      for (const each of steps) {
        if (each.kind === 'add') wanted.add(each.name)
        else if (each.kind === 'remove') wanted.delete(each.name)
        else if (each.kind === 'respond' && !isFirst) {
          unanswered = `${++nonce}`
          if (each.good) accepted = `v${nonce}`
          subscription.respond(`v${nonce}`, unanswered, each.good ? undefined : 'bad')
        } else if (each.kind === 'reopen') {
          subscription.open()
          unanswered = undefined
          known = []
          isFirst = true
        } else if (each.kind === 'poll') poll()
      }
      poll()
      assert.equal(unanswered, undefined)
      assert.deepEqual([...known].sort(), [...wanted].sort())
      assert.equal(subscription.poll(wanted), undefined)
    }),
  )
})
