import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ConversationEnd, ReconnectLoop } from '../../src/discovery/reconnect-loop.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

/** A loop whose conversations end as the test says, one after the other, and then do not end. */
function start(t: TestContext, ...ends: readonly (ConversationEnd | Error)[]) {
  const clock = new ManualClock()
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  const logger = { debug: tell, info: tell, warn: tell, error: tell }
  let begun = 0
  const converse = () => {
    const end = ends[begun++]
    if (end === undefined) return new Promise<ConversationEnd>(() => {})
    return end instanceof Error ? Promise.reject(end) : Promise.resolve(end)
  }
  const loop = new ReconnectLoop({ runtime: { clock, random: () => 0.5, logger }, name: 'test', converse })
  t.after(() => loop.close())
  loop.start()
  /** Conversations that have begun once `ms` have passed, and nothing more happens by itself. */
  const after = async (ms: number) => {
    await clock.advanceAsync(ms, Math.max(1, ms))
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
    return begun
  }
  return { loop, after, told, begun: () => begun }
}

test('what fails is tried again after 1 s, 1.6 s and so on, whatever kind of error it was', async t => {
  const { after, told } = start(t, new Error('refused'), new TypeError('The argument is invalid'), new RangeError('odd'))
  assert.deepEqual([await after(0), await after(999), await after(1)], [1, 1, 2])
  assert.deepEqual([await after(1_599), await after(1)], [2, 3])
  assert.deepEqual([await after(2_559), await after(1)], [3, 4])
  assert.deepEqual(told, [])
})

test('what has ended is begun again a second after its beginning, what is to be opened again at once, and what has stopped never', async t => {
  const { after } = start(t, 'ended', 'reopen', 'stop')
  assert.deepEqual([await after(0), await after(999), await after(1)], [1, 1, 3])
  assert.equal(await after(100_000), 3)
})

test('a loop that has stopped begins when it is started, and one that was closed does not', async t => {
  const { loop, begun, after } = start(t, 'stop')
  await after(0)
  loop.start()
  await until(() => begun() === 2)
  loop.close()
  loop.start()
  assert.equal(await after(100_000), 2)
})
