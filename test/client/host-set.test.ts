import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Endpoint, endpointName } from '../../src/client/endpoint.ts'
import { HostSet } from '../../src/client/host-set.ts'
import { makeAssignment, makeEndpoint } from '../support/fake-config-source.ts'

const connections = { http: () => assert.fail('nobody calls it'), grpc: () => assert.fail('nobody calls it') }

function makeHostSet(): HostSet {
  return new HostSet((config, locality, priority) => {
    return new Endpoint(config, locality, priority, 0, connections)
  })
}

const names = (endpoints: Iterable<Endpoint>) => [...endpoints].map(({ name }) => name)

describe('HostSet', () => {
  it('keeps the identity of an address from one assignment to the next', () => {
    const hosts = makeHostSet()
    hosts.apply(makeAssignment('c', [{ endpoints: ['10.0.0.1:80', '10.0.0.2:80'].map(makeEndpoint) }]))
    const [first] = hosts.endpoints()
    assert.ok(first)
    first.activeRequests = 3
    const change = hosts.apply(makeAssignment('c', [{ endpoints: ['10.0.0.1:80', '10.0.0.3:80'].map(makeEndpoint) }]))
    assert.deepEqual(names(change.added), ['10.0.0.3:80'])
    assert.deepEqual(names(change.removed), ['10.0.0.2:80'])
    assert.equal([...hosts.endpoints()][0], first)
    assert.equal(first.activeRequests, 3)
    assert.equal(change.removed[0]?.isMember, false)
  })

  it('takes over weight, health, hostname and metadata of an address that stays', () => {
    const hosts = makeHostSet()
    hosts.apply(makeAssignment('c', [{ endpoints: [makeEndpoint('10.0.0.1:80')] }]))
    const [endpoint] = hosts.endpoints()
    const update = makeEndpoint({ address: '10.0.0.1', weight: 5, health: 'unhealthy', hostname: 'one', metadata: { v: '1' } })
    assert.equal(hosts.apply(makeAssignment('c', [{ endpoints: [update] }])).changed, true)
    assert.equal(endpoint?.weight, 5)
    assert.equal(endpoint?.health, 'unhealthy')
    assert.equal(endpoint?.hostname, 'one')
    assert.deepEqual(endpoint?.metadata, { v: '1' })
  })

  it('says when nothing that balancing looks at has changed', () => {
    const hosts = makeHostSet()
    const assignment = makeAssignment('c', [{ endpoints: [makeEndpoint('10.0.0.1:80')] }])
    assert.equal(hosts.apply(assignment).changed, true)
    assert.equal(hosts.apply(assignment).changed, false)
    assert.equal(hosts.apply(makeAssignment('c', [{ endpoints: [makeEndpoint('10.0.0.1:80')] }])).changed, false)
  })

  it('groups by priority and locality', () => {
    const hosts = makeHostSet()
    hosts.apply(
      makeAssignment('c', [
        { locality: { region: 'eu', zone: 'a', subZone: '' }, weight: 2, endpoints: [makeEndpoint('10.0.0.1:80')] },
        { priority: 1, endpoints: [makeEndpoint('10.0.0.2:80')] },
      ]),
    )
    assert.deepEqual(
      hosts.priorities.map(({ localities }) => localities.map(each => [each.weight, names(each.hosts)])),
      [[[2, ['10.0.0.1:80']]], [[undefined, ['10.0.0.2:80']]]],
    )
  })

  it('makes a new endpoint of an address that left and came back', () => {
    const hosts = makeHostSet()
    const one = makeAssignment('c', [{ endpoints: [makeEndpoint('10.0.0.1:80')] }])
    hosts.apply(one)
    const [before] = hosts.endpoints()
    hosts.apply(makeAssignment('c', []))
    assert.equal(hosts.size, 0)
    hosts.apply(one)
    assert.notEqual([...hosts.endpoints()][0], before)
  })
})

describe('endpointName', () => {
  it('brackets IPv6 and leaves a socket path alone', () => {
    assert.equal(endpointName('10.0.0.1', 80), '10.0.0.1:80')
    assert.equal(endpointName('fd00::1', 80), '[fd00::1]:80')
    assert.equal(endpointName('/run/app.sock', 0), '/run/app.sock')
  })
})
