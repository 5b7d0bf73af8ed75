import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { WorkloadApiProvider } from '../../src/discovery/workload-api.ts'
import { agentPath, startWorkloadApi, svidResponse } from '../support/fake-workload-api.ts'
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
    svidResponse({ ...mine, bundles: new Map([...mine.bundles, ['not a domain', other.bundle]]) }),
    svidResponse({ ...mine, bundles: new Map() }),
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
  clock.advance(2_000)
  const again = agent.call()
  agent.refuse(7, 'no identity issued')
  agent.end()
  await again
  await until(() => told.some(message => message.includes('no identity issued')))
  const last = agent.call()
  agent.accept()
  await until(
    () => agent.seen.length === 3,
    async () => {
      clock.advance(1_000)
      await setImmediate()
    },
  )
  await last
})

test('an agent that answers and hangs up is not called without a pause', async t => {
  const agent = await startWorkloadApi(t)
  const response = svidResponse(await authority.identity('/a'))
  const first = agent.call()
  const { clock, told } = open(t, agent.socket)
  await first
  for (let round = 1; round <= 3; round++) {
    agent.send(response)
    agent.end()
    await until(() => told.length === round && clock.pendingTimers === 2)
    // Whatever is called without a pause would have been by now.
    for (let turn = 0; turn < 50; turn++) await setImmediate()
    assert.equal(agent.seen.length, round)
    const called = agent.call()
    clock.advance(1_000)
    await called
  }
})

test('an agent that is not there yet, goes and comes back is found, and the last identity kept meanwhile', async t => {
  const path = agentPath(t)
  const { provider, clock, told } = open(t, `unix:${path}`)
  const passing = async () => {
    clock.advance(1_000)
    await setImmediate()
  }
  await until(() => told.some(message => message.includes('ENOENT')))
  for (const round of [1, 2]) {
    const agent = await startWorkloadApi(t, path)
    await until(() => agent.seen.length > 0, passing)
    const identity = await authority.identity(`/${round}`)
    agent.send(svidResponse(identity))
    await until(() => provider.current?.svid.spiffeId === `spiffe://td/${round}`)
    agent.stop()
    const before = told.length
    await until(() => told.length > before + 3, passing)
    assert.equal(provider.current?.svid.spiffeId, `spiffe://td/${round}`)
  }
})

test('a connection that the agent has said goodbye on does not wait for it to hang up', async t => {
  const path = agentPath(t)
  const accepted: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.resume().write(Buffer.from([...[0, 0, 0, 4, 0, 0, 0, 0, 0], ...[0, 0, 0, 4, 1, 0, 0, 0, 0]]))
    // GOAWAY, before the first stream.
    socket.write(Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
  })
  server.listen(path)
  await once(server, 'listening')
  t.after(() => server.close())
  const { told } = open(t, `unix:${path}`)
  await until(() => told.length > 0)
  const [agent = assert.fail()] = accepted
  await until(() => {
    agent.write('x')
    return agent.destroyed
  })
})

test('of several SVIDs the first is taken, whatever the hints of the others', async t => {
  const agent = await startWorkloadApi(t)
  const called = agent.call()
  const { provider } = open(t, agent.socket)
  await called
  const answers = await Promise.all(['/a', '/b'].map(async path => svidResponse(await authority.identity(path))))
  agent.send(Buffer.concat(answers))
  await provider.ready()
  assert.equal(provider.current?.svid.spiffeId, 'spiffe://td/a')
})

test('a request that is refused as such is not made again', async t => {
  const agent = await startWorkloadApi(t)
  agent.refuse(3, 'security header missing from request')
  const { provider } = open(t, agent.socket)
  await assert.rejects(provider.ready(), /security header missing/)
  assert.equal(agent.seen.length, 1)
})

test('an address that is none is refused', t => {
  const odd = [
    'unix:///run/a.sock?x',
    'unix:///run/a.sock#x',
    'tcp://127.0.0.1:80/x',
    'tcp://me@127.0.0.1:80',
    'tcp:127.0.0.1:80',
  ]
  for (const socket of [...odd, '/run/agent.sock', 'unix:relative', 'tcp://agent:80', 'tcp://127.0.0.1', 'http://127.0.0.1:1'])
    assert.throws(() => open(t, socket), /must be unix:\/path or tcp:\/\/IP:port/)
})
