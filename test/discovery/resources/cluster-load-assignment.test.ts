import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { ClusterLoadAssignmentSchema } from '../../../src/discovery/gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import type { ClusterLoadAssignment } from '../../../src/discovery/model/endpoint.ts'
import { decodeClusterLoadAssignment } from '../../../src/discovery/resources/cluster-load-assignment.ts'
import { readClusterLoadAssignment } from '../../../src/discovery/resources/cluster-load-assignment-reader.ts'
import { resourceTypes } from '../../../src/discovery/resources/decode.ts'
import { Problems } from '../../../src/discovery/resources/problems.ts'

type Init = MessageInitShape<typeof ClusterLoadAssignmentSchema>
type EndpointInit = NonNullable<NonNullable<Init['endpoints']>[number]['lbEndpoints']>[number]

const encode = (init: Init) => toBinary(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, init))
const decode = (init: Init) => resourceTypes.clusterLoadAssignment.decode(encode(init)).decoded

function endpoint(address: string, portValue = 80, more: EndpointInit = {}): EndpointInit {
  const socketAddress = { address, portSpecifier: { case: 'portValue' as const, value: portValue } }
  return {
    hostIdentifier: {
      case: 'endpoint',
      value: { address: { address: { case: 'socketAddress', value: socketAddress } } },
    },
    ...more,
  }
}

const cases: readonly (readonly [string, Init, readonly string[]])[] = [
  ['no name', { endpoints: [] }, ['cluster_name: is required']],
  [
    'a gap in the priorities',
    { clusterName: 'a', endpoints: [{ priority: 0 }, { priority: 2 }] },
    ['endpoints: priority 1 is missing, but there is a priority 2'],
  ],
  [
    'a locality twice in a priority',
    {
      clusterName: 'a',
      endpoints: [1, 1].map(loadBalancingWeight => ({ locality: { zone: 'z' }, loadBalancingWeight })),
    },
    ['endpoints[1].locality: {region: "", zone: "z", sub_zone: ""} is there twice in priority 0'],
  ],
  [
    'an address twice',
    {
      clusterName: 'a',
      endpoints: [{ lbEndpoints: [endpoint('10.0.0.1')] }, { priority: 1, lbEndpoints: [endpoint('10.0.0.1')] }],
    },
    ['endpoints[1].lb_endpoints[0].endpoint.address: 10.0.0.1:80 is there twice'],
  ],
  [
    'an address twice that has many ports',
    {
      clusterName: 'a',
      endpoints: [{ lbEndpoints: [1, 2, 3, 2].map(port => endpoint('10.0.0.1', port)) }],
    },
    ['endpoints[0].lb_endpoints[3].endpoint.address: 10.0.0.1:2 is there twice'],
  ],
  [
    'weights of localities above uint32',
    {
      clusterName: 'a',
      endpoints: [
        { locality: { zone: 'y' }, loadBalancingWeight: 0xffff_ffff },
        { locality: { zone: 'z' }, loadBalancingWeight: 1 },
      ],
    },
    ['endpoints: weights of priority 0 must not add up to more than 4294967295, got 4294967296'],
  ],
  [
    'no address, an impossible port, a weight of 0',
    {
      clusterName: 'a',
      endpoints: [
        {
          lbEndpoints: [{}, endpoint('10.0.0.1', 65_536), endpoint('10.0.0.2', 80, { loadBalancingWeight: 0 })],
        },
      ],
    },
    [
      'endpoints[0].lb_endpoints[0].endpoint.address: is required',
      'endpoints[0].lb_endpoints[1].endpoint.address.socket_address.port_value: must be <= 65535, got 65536',
      'endpoints[0].lb_endpoints[2].load_balancing_weight: must be >= 1, got 0',
    ],
  ],
  [
    'endpoints by reference to another service',
    {
      clusterName: 'a',
      endpoints: [{ lbConfig: { case: 'ledsClusterLocalityConfig', value: { ledsCollectionName: 'x' } } }],
    },
    ['endpoints[0].leds_cluster_locality_config: is not supported'],
  ],
]

for (const [title, init, errors] of cases) {
  test(`an assignment is refused for ${title}`, () => {
    const label = `ClusterLoadAssignment "${init.clusterName ?? ''}": `
    assert.deepEqual(decode(init), { ok: false, errors: errors.map(error => label + error) })
  })
}

test('a locality that counts for nothing may be there twice: gRPC leaves it out, and Envoy adds it up', () => {
  const decoded = decode({
    clusterName: 'a',
    endpoints: [{ loadBalancingWeight: 1 }, { loadBalancingWeight: 0, lbEndpoints: [endpoint('10.0.0.1')] }, {}],
  })
  assert.ok(decoded.ok)
  assert.deepEqual(
    decoded.value.localities.map(({ weight }) => weight),
    [1, undefined, undefined],
  )
})

test('an address with several ports, and a locality in several priorities, are no duplicates', () => {
  const decoded = decode({
    clusterName: 'a',
    endpoints: [
      { locality: { zone: 'z' }, priority: 1, lbEndpoints: [endpoint('10.0.0.1', 1), endpoint('10.0.0.1', 2)] },
      { locality: { zone: 'z' }, lbEndpoints: [endpoint('10.0.0.1', 3)] },
    ],
  })
  assert.ok(decoded.ok)
  assert.deepEqual(
    decoded.value.localities.map(({ priority, endpoints }) => [priority, endpoints.map(({ port }) => port)]),
    [
      [0, [3]],
      [1, [1, 2]],
    ],
  )
})

test('a field encoded in the order nobody uses is read by the generated decoder to the same effect', () => {
  const part = (init: Init) => encode(init)
  const twice = Buffer.concat([
    part({ clusterName: 'a', policy: { overprovisioningFactor: 150 } }),
    part({ policy: { dropOverloads: [{ category: 'x', dropPercentage: { numerator: 5 } }] } }),
  ])
  const { decoded } = resourceTypes.clusterLoadAssignment.decode(twice)
  assert.ok(decoded.ok)
  assert.equal(decoded.value.overprovisioningFactor, 150)
  assert.deepEqual(decoded.value.dropOverloads, [{ category: 'x', probability: 0.05 }])
})

test('a health_check_config in two parts is one', () => {
  const wrap = (field: number, bytes: Uint8Array) => Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes])
  const address = Buffer.from('10.0.0.1')
  const socketAddress = Buffer.concat([wrap(2, address), Buffer.from([0x18, 80])])
  const endpoint = Buffer.concat([
    wrap(1, wrap(1, socketAddress)),
    wrap(2, Buffer.from([0x08, 90])),
    wrap(2, wrap(2, Buffer.from('admin'))),
  ])
  const bytes = Buffer.concat([encode({ clusterName: 'a' }), wrap(2, wrap(2, wrap(1, endpoint)))])
  const { decoded } = resourceTypes.clusterLoadAssignment.decode(bytes)
  assert.ok(decoded.ok)
  const [found] = decoded.value.localities[0]?.endpoints ?? []
  assert.deepEqual(found?.healthCheck, { address: '', port: 90, hostname: 'admin', isDisabled: false })
})

const text = fc.oneof(fc.constantFrom('', 'a', 'zone-1', '10.0.0.1', 'é', 'x'.repeat(200)), fc.string())
/** The common form nineteen times of twenty, so that the rare one does not hide it. */
const mostly = <A, B>(common: fc.Arbitrary<A>, rare: fc.Arbitrary<B>): fc.Arbitrary<A | B> =>
  fc.oneof({ weight: 19, arbitrary: common }, { weight: 1, arbitrary: rare })
const address = fc.record({
  address: mostly(
    fc.record({
      case: fc.constant('socketAddress' as const),
      value: fc.record(
        {
          protocol: mostly(fc.constant(0), fc.constant(1)),
          address: text,
          portSpecifier: mostly(
            fc.record({ case: fc.constant('portValue' as const), value: fc.nat(70_000) }),
            fc.record({ case: fc.constant('namedPort' as const), value: text }),
          ),
        },
        { requiredKeys: [] },
      ),
    }),
    fc.record({ case: fc.constant('pipe' as const), value: fc.record({ path: text }) }),
  ),
})
const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text, { maxLength: 2 }))
const metadata = fc.record({
  filterMetadata: fc.dictionary(fc.constantFrom('envoy.lb', 'istio', ''), fc.dictionary(text, value, { maxKeys: 3 })),
})
const lbEndpoint = fc.record(
  {
    hostIdentifier: fc.oneof(
      {
        weight: 19,
        arbitrary: fc.record({
          case: fc.constant('endpoint' as const),
          value: fc.record(
            {
              address,
              hostname: text,
              additionalAddresses: fc.array(fc.record({ address }, { requiredKeys: [] }), { maxLength: 2 }),
              healthCheckConfig: fc.record(
                { portValue: fc.nat(70_000), hostname: text, address, disableActiveHealthCheck: fc.boolean() },
                { requiredKeys: [] },
              ),
            },
            { requiredKeys: [] },
          ),
        }),
      },
      { weight: 1, arbitrary: fc.record({ case: fc.constant('endpointName' as const), value: text }) },
    ),
    healthStatus: fc.integer({ min: 0, max: 7 }),
    metadata,
    loadBalancingWeight: fc.nat(5),
  },
  { requiredKeys: [] },
)
const assignment = fc.record(
  {
    clusterName: text,
    endpoints: fc.array(
      fc.record(
        {
          locality: fc.record({ region: text, zone: text, subZone: text }, { requiredKeys: [] }),
          lbEndpoints: fc.array(lbEndpoint, { maxLength: 4 }),
          loadBalancingWeight: fc.nat(5),
          priority: fc.nat(3),
          metadata,
        },
        { requiredKeys: [] },
      ),
      { maxLength: 4 },
    ),
    policy: fc.record(
      {
        overprovisioningFactor: fc.nat(200),
        dropOverloads: fc.array(
          fc.record({
            category: text,
            dropPercentage: fc.record({ numerator: fc.nat(200), denominator: fc.integer({ min: 0, max: 3 }) }),
          }),
          { maxLength: 2 },
        ),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
)

test('the wire reader agrees with the generated decoder, in what it reads and in what it refuses', () => {
  fc.assert(
    fc.property(assignment, init => {
      const message = create(ClusterLoadAssignmentSchema, init as Init)
      const expected = Problems.of('x')
      const value = decodeClusterLoadAssignment(message, expected)
      const found = Problems.of('x')
      const slices = readClusterLoadAssignment(toBinary(ClusterLoadAssignmentSchema, message), found)
      let slice = slices.next()
      while (slice.done !== true) slice = slices.next()
      assert.deepEqual(slice.value, value)
      assert.deepEqual(found.found.toSorted(), expected.found.toSorted())
    }),
    { numRuns: 1000, seed: 1 },
  )
})

test('an update takes over the endpoints that did not change, and reads the same as without', () => {
  const names = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 20 })
  const encodeEndpoints = (localities: readonly (readonly number[])[], weight: number) =>
    encode({
      clusterName: 'a',
      endpoints: localities.map((numbers, index) => ({
        locality: { zone: `z${index}` },
        lbEndpoints: numbers.map(each =>
          endpoint(`10.0.${index}.${each}`, 80, each % 7 === 0 ? { loadBalancingWeight: weight } : {}),
        ),
      })),
    })
  const decodeAfter = (bytes: Uint8Array, before?: ClusterLoadAssignment) => {
    const slices = resourceTypes.clusterLoadAssignment.decodeInSlices(bytes, () => before)
    for (let slice = slices.next(); ; slice = slices.next()) {
      if (slice.done !== true) continue
      assert.ok(slice.value.decoded.ok)
      return slice.value.decoded.value
    }
  }
  fc.assert(
    fc.property(fc.array(names, { maxLength: 3 }), fc.array(names, { maxLength: 3 }), (first, second) => {
      const before = decodeAfter(encodeEndpoints(first, 1))
      const bytes = encodeEndpoints(second, 2)
      assert.deepEqual(decodeAfter(bytes, before), decodeAfter(bytes))
    }),
  )

  const many = Array.from({ length: 20 }, (_, index) => index + 1)
  const before = decodeAfter(encodeEndpoints([many], 1))
  const after = decodeAfter(encodeEndpoints([[...many.slice(0, 3), 99, ...many.slice(5)]], 1), before)
  const known = new Set(before.localities[0]?.endpoints)
  assert.equal(after.localities[0]?.endpoints.filter(each => known.has(each)).length, 18)
})

test('bytes cut off anywhere are an error and never an exception', () => {
  const bytes = encode({
    clusterName: 'a',
    endpoints: [
      {
        locality: { zone: 'z' },
        lbEndpoints: [endpoint('10.0.0.1', 80, { metadata: { filterMetadata: { 'envoy.lb': { a: 'b' } } } })],
      },
    ],
  })
  for (let end = 0; end < bytes.length; end++) {
    const { decoded } = resourceTypes.clusterLoadAssignment.decode(bytes.slice(0, end))
    assert.ok(decoded.ok || decoded.errors.length > 0)
  }
})

test('a large assignment is decoded in many slices', () => {
  const lbEndpoints = Array.from({ length: 2000 }, (_, index) => endpoint(`10.0.${index >> 8}.${index & 255}`))
  const slices = resourceTypes.clusterLoadAssignment.decodeInSlices(encode({ clusterName: 'a', endpoints: [{ lbEndpoints }] }))
  let count = 0
  for (;;) {
    const slice = slices.next()
    if (slice.done === true) {
      assert.ok(slice.value.decoded.ok)
      break
    }
    count++
  }
  assert.ok(count >= 7, `${count} slices`)
})
