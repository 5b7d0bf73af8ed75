import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { WorkloadApiProvider } from '../../src/discovery/workload-api.ts'
import { startWorkloadApi, svidResponse } from '../support/fake-workload-api.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'

const authority = await SvidAuthority.create('td')
const other = await SvidAuthority.create('other')

function open(t: TestContext, socket: string) {
  const clock = new ManualClock(Date.now())
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  const logger = { debug: tell, info: tell, warn: tell, error: tell }
  const provider = new WorkloadApiProvider({ socket, runtime: { clock, random: () => 0.5, logger } })
  t.after(() => provider.close())
  return { provider, clock, told }
}

test('the first SVID is taken, with the bundles of its own and of federated domains; each message is everything', async t => {
  const agent = await startWorkloadApi(t)
  const called = agent.call()
  const { provider } = open(t, agent.socket)
  await called
  assert.deepEqual(agent.seen, [{ path: '/SpiffeWorkloadAPI/FetchX509SVID', security: 'true' }])
  agent.send(svidResponse(await authority.identity('/a', [other])))
  await provider.ready()
  assert.equal(provider.current?.svid.spiffeId, 'spiffe://td/a')
  assert.deepEqual([...(provider.current?.bundles.keys() ?? [])].sort(), ['other', 'td'])
  const changed = new Promise(resolve => provider.subscribe(resolve))
  agent.send(svidResponse(await authority.identity('/a')))
  await changed
  assert.deepEqual([...(provider.current?.bundles.keys() ?? [])], ['td'])
})

test('A38, A40: what does not fit, and what has revocation lists, leaves the last good one', async t => {
  const agent = await startWorkloadApi(t)
  const called = agent.call()
  const { provider, told } = open(t, agent.socket)
  await called
  agent.send(svidResponse(await authority.identity('/a')))
  await provider.ready()
  const before = provider.current
  const [mine, theirs] = [await authority.identity('/a'), await authority.identity('/b')]
  const bad = [
    svidResponse({ ...mine, svid: { ...mine.svid, privateKey: theirs.svid.privateKey } }),
    svidResponse({ ...mine, svid: { ...mine.svid, spiffeId: 'spiffe://td/b' } }),
    svidResponse(mine, 1),
    new Uint8Array(),
    Uint8Array.of(10, 255),
  ]
  for (const [index, message] of bad.entries()) {
    agent.send(message)
    await until(() => told.length > index)
    assert.match(told[index] ?? '', /an answer cannot be used: /)
  }
  assert.equal(provider.current, before)
})

test('a stream that ends is opened again at once, and one that is refused after a pause', async t => {
  const agent = await startWorkloadApi(t)
  const first = agent.call()
  const { provider, clock, told } = open(t, agent.socket)
  await first
  agent.send(svidResponse(await authority.identity('/a')))
  await provider.ready()
  const again = agent.call()
  agent.refuse(7, 'no identity issued')
  agent.end()
  await again
  await until(() => told.some(message => message.includes('no identity issued')))
  agent.accept()
  const last = agent.call()
  while (agent.seen.length < 3) {
    clock.advance(1_000)
    await setImmediate()
  }
  await last
})

test('a request that is refused as such is not made again', async t => {
  const agent = await startWorkloadApi(t)
  agent.refuse(3, 'security header missing from request')
  const { provider } = open(t, agent.socket)
  await assert.rejects(provider.ready(), /security header missing/)
  assert.equal(agent.seen.length, 1)
})

test('an address that is none is refused', t => {
  for (const socket of ['/run/agent.sock', 'unix:relative', 'tcp://agent:80', 'tcp://127.0.0.1', 'http://127.0.0.1:1'])
    assert.throws(() => open(t, socket), /must be unix:\/path or tcp:\/\/IP:port/)
})
