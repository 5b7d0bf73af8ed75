import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DnsResolver } from '../../src/client/dns-resolver.ts'
import type { ClusterLoadAssignment } from '../../src/discovery/model/endpoint.ts'
import { silentLogger } from '../../src/runtime.ts'
import { makeAssignment, makeEndpoint } from '../support/fake-config-source.ts'
import { ManualClock } from '../support/manual-clock.ts'

const addressesOf = (assignment: ClusterLoadAssignment | undefined) =>
  assignment?.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address))

function resolve(
  kind: 'strict-dns' | 'logical-dns',
  answers: (readonly string[] | Error)[],
  endpoints = [makeEndpoint({ address: 'db', port: 5 })],
) {
  const clock = new ManualClock()
  const seen: ClusterLoadAssignment[] = []
  const asked: string[] = []
  const resolver = new DnsResolver(
    { kind, refreshRateMs: 10_000, assignment: makeAssignment('c', [{ endpoints }]) },
    { clock, random: Math.random, logger: silentLogger },
    async name => {
      asked.push(name)
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (answer instanceof Error) throw answer
      return answer ?? []
    },
    assignment => seen.push(assignment),
  )
  return { clock, seen, asked, resolver, settle: () => new Promise(done => setImmediate(done)) }
}

describe('DnsResolver', () => {
  it('strict: every address is an endpoint, called by the name', async () => {
    const { seen, settle, resolver } = resolve('strict-dns', [['10.0.0.2', '10.0.0.1']])
    await settle()
    assert.deepEqual(addressesOf(seen[0]), ['10.0.0.1', '10.0.0.2'])
    assert.equal(seen[0]?.localities[0]?.endpoints[0]?.hostname, 'db')
    assert.equal(seen[0]?.localities[0]?.endpoints[0]?.port, 5)
    resolver.close()
  })

  it('logical: all addresses are one endpoint, reached at any of them (gRFC A61)', async () => {
    const { clock, seen, settle, resolver } = resolve('logical-dns', [
      ['10.0.0.2', '10.0.0.1'],
      ['10.0.0.2', '10.0.0.3'],
    ])
    await settle()
    assert.deepEqual(addressesOf(seen[0]), ['10.0.0.2'])
    const others = () => seen.at(-1)?.localities[0]?.endpoints[0]?.additionalAddresses
    assert.deepEqual(others(), [{ address: '10.0.0.1', port: 5 }])
    await clock.advanceAsync(10_000)
    assert.deepEqual([addressesOf(seen[1]), others()], [['10.0.0.2'], [{ address: '10.0.0.3', port: 5 }]])
    resolver.close()
  })

  it('asks again at the refresh rate, and tells only of changes', async () => {
    const { clock, seen, asked, settle, resolver } = resolve('strict-dns', [['10.0.0.1'], ['10.0.0.1'], ['10.0.0.9']])
    await settle()
    await clock.advanceAsync(10_000)
    assert.equal(asked.length, 2)
    assert.equal(seen.length, 1)
    await clock.advanceAsync(10_000)
    assert.deepEqual(addressesOf(seen[1]), ['10.0.0.9'])
    resolver.close()
    assert.equal(clock.pendingTimers, 0)
  })

  it('keeps the last good addresses when a name fails, and asks again sooner', async () => {
    const { clock, seen, asked, settle, resolver } = resolve('strict-dns', [['10.0.0.1'], new Error('SERVFAIL'), ['10.0.0.1']])
    await settle()
    await clock.advanceAsync(10_000)
    await clock.advanceAsync(5_000)
    assert.equal(asked.length, 3)
    assert.equal(seen.length, 1)
    resolver.close()
  })

  it('keeps the identity of an endpoint whose address stays', async () => {
    const { clock, seen, settle, resolver } = resolve('strict-dns', [['10.0.0.1'], ['10.0.0.1', '10.0.0.2']])
    await settle()
    await clock.advanceAsync(10_000)
    assert.equal(seen[0]?.localities[0]?.endpoints[0], seen[1]?.localities[0]?.endpoints[0])
    resolver.close()
  })

  it('says that there are no endpoints when the first answer is a failure', async () => {
    const { seen, settle, resolver } = resolve('strict-dns', [new Error('ENOTFOUND')])
    await settle()
    assert.deepEqual(addressesOf(seen[0]), [])
    resolver.close()
  })

  it('leaves addresses alone', async () => {
    const { seen, asked, settle, resolver } = resolve('strict-dns', [['10.0.0.1']], [makeEndpoint('127.0.0.1:80')])
    await settle()
    assert.deepEqual(asked, [])
    assert.deepEqual(addressesOf(seen[0]), ['127.0.0.1'])
    resolver.close()
  })
})
