import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyPicker, type PickContext, type Picker } from '../../../src/policies/load-balancing/picker.ts'
import { pickOther } from '../../../src/policies/load-balancing/previous-hosts.ts'

const context: PickContext = { random: () => 0, hash: null }

/** Picks `hosts` in turn and remembers the attempts asked for. */
class ScriptedPicker implements Picker<string> {
  readonly attempts: number[] = []
  readonly #hosts: readonly string[]

  constructor(...hosts: readonly string[]) {
    this.#hosts = hosts
  }

  pick(_context: PickContext, attempt: number): string | null {
    this.attempts.push(attempt)
    return this.#hosts[this.attempts.length - 1] ?? null
  }
}

test('the first pick will do when no host was tried before', () => {
  const picker = new ScriptedPicker('a')
  assert.equal(pickOther(picker, context, null, 5), 'a')
  assert.deepEqual(picker.attempts, [0])
})

test('tried hosts are passed over, each pick telling its number', () => {
  const picker = new ScriptedPicker('a', 'b', 'c')
  assert.equal(pickOther(picker, context, ['a', 'b'], 5), 'c')
  assert.deepEqual(picker.attempts, [0, 1, 2])
})

test('when the picks are spent the last one is taken all the same', () => {
  assert.equal(pickOther(new ScriptedPicker('a', 'a', 'a', 'b'), context, ['a'], 2), 'a')
  assert.equal(pickOther(new ScriptedPicker('a', 'a', 'b'), context, ['a'], 2), 'b')
  assert.equal(pickOther(new ScriptedPicker('a', 'b'), context, ['a'], 0), 'a')
})

test('nobody is nobody', () => {
  assert.equal(pickOther(emptyPicker, context, ['a'], 5), null)
})
