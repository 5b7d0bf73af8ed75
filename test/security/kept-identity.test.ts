import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../src/runtime.ts'
import { KeptIdentity } from '../../src/security/kept-identity.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

const hourMs = 3_600_000
const authority = await SvidAuthority.create('td')

function make() {
  const clock = new ManualClock(Date.now())
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  const kept = new KeptIdentity({ clock, random: () => 0.5, logger: { ...silentLogger, warn: tell, error: tell } })
  return { kept, clock, told }
}

test('everybody who listens hears of a new identity, whatever another does with it', async () => {
  const { kept, told } = make()
  const heard: string[] = []
  kept.subscribe(() => {
    throw new Error('broken')
  })
  const end = kept.subscribe(({ svid }) => heard.push(svid.spiffeId))
  kept.set(await authority.identity('/a'))
  await kept.ready()
  end()
  kept.set(await authority.identity('/b'))
  assert.deepEqual([heard, kept.current?.svid.spiffeId], [['spiffe://td/a'], 'spiffe://td/b'])
  assert.deepEqual(told, Array(2).fill('a listener to the identity of this workload failed'))
})

test('the end of a certificate is told of in three steps, by the wall clock, and no more once there is another', async () => {
  const { kept, clock, told } = make()
  const notRenewed = (stage: string) => `the certificate of this workload was not renewed: ${stage}`
  const from = clock.wallNow()
  const validity = { notBefore: new Date(from), notAfter: new Date(from + 10 * hourMs) }
  kept.set(await authority.identity('/a', [], validity))
  clock.advance(7 * hourMs)
  assert.deepEqual(told, [])
  clock.stepWall(hourMs)
  clock.advance(60_000)
  assert.deepEqual(told, [notRenewed('a quarter left')])
  clock.advance(2 * hourMs)
  assert.deepEqual(told.slice(1), [notRenewed('a tenth left'), notRenewed('expired')])
  assert.equal(clock.pendingTimers, 0)
  const next = clock.wallNow()
  kept.set(await authority.identity('/a', [], { notBefore: new Date(next), notAfter: new Date(next + 10 * hourMs) }))
  kept.set(await authority.identity('/a', [], { notBefore: new Date(next), notAfter: new Date(next + 100 * hourMs) }))
  clock.advance(20 * hourMs)
  assert.equal(told.length, 3)
  kept.close()
  assert.equal(clock.pendingTimers, 0)
})
