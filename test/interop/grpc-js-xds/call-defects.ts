import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { status } from '@grpc/grpc-js'
import { CircuitBreakersSchema } from '../../../src/discovery/gen/envoy/config/cluster/v3/circuit_breaker_pb.ts'
import { Cluster_LbPolicy } from '../../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import type { HeaderMatcherSchema } from '../../../src/discovery/gen/envoy/config/route/v3/route_components_pb.ts'
import { hash64, loadHash64 } from '../../../src/policies/load-balancing/hash64.ts'
import { assignmentMessage, clusterMessage } from '../../support/xds-resources.ts'
import type { Defect } from './defect.ts'
import { DefectBackend } from './defect-backend.ts'
import type { DefectCall, DefectClient } from './defect-client.ts'
import { cluster, limitedListener, route, service } from './defect-resources.ts'
import { setStage } from './defect-stage.ts'

async function streamDuration(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours } = await setStage(t)
  for (const field of ['maxStreamDuration', 'idleTimeout'] as const)
    server.set(...service(field, route('/', 'good')), limitedListener(field, field))
  server.set(...cluster('good', backend.address))
  const limits = async (client: DefectClient) => [
    await backend.isLimited(client.call({ listener: 'maxStreamDuration' })),
    await backend.isLimited(client.call({ listener: 'idleTimeout' })),
  ]
  assert.deepEqual(await limits(theirs), [false, true])
  assert.deepEqual(await limits(ours), [true, false])
}

async function retryBackOff(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours } = await setStage(t)
  const interval = { seconds: 1n }
  const retryPolicy = { retryOn: 'unavailable', retryBackOff: { baseInterval: interval, maxInterval: interval } }
  server.set(...service('one', route('/', 'good', { retryPolicy })), ...cluster('good', backend.address))
  const gapMs = async (client: DefectClient) => {
    const { id, code } = await client.call({ metadata: { 'x-failures': '1' }, deadlineMs: 30_000 })
    assert.equal(code, status.OK)
    const [first, second] = backend.attemptsOf(id)
    assert.ok(first && second)
    return second.atMs - first.atMs
  }
  const [their, our] = await Promise.all([gapMs(theirs), gapMs(ours)])
  assert.ok(their > 7500, `theirs after ${their} ms`)
  assert.ok(our < 2000, `ours after ${our} ms`)
}

async function combinedHash(t: TestContext): Promise<void> {
  await loadHash64()
  const backends = await Promise.all(['v1', 'v2', 'v3', 'v4'].map(name => DefectBackend.start(t, name)))
  const { server, theirs, ours } = await setStage(t)
  const header = (headerName: string) => ({ policySpecifier: { case: 'header', value: { headerName } } }) as const
  const ring = clusterMessage('ring')
  ring.lbPolicy = Cluster_LbPolicy.RING_HASH
  server.set(...service('one', route('/', 'ring', { hashPolicy: [header('x-a'), header('x-b')] })))
  server.set(ring, assignmentMessage('ring', ...backends.map(({ address }) => address)))
  const calls = Array.from({ length: 400 }, (_, index) => ({ metadata: { 'x-a': `a${index}`, 'x-b': `b${index}` } }))
  // The first hash is rotated by a bit: this one must not become the 65th.
  const hasTopBit = calls.map(({ metadata }) => hash64(metadata['x-a']) >> 63n === 1n)
  const endpoints = async (client: DefectClient) => {
    const answers = await client.callAll(calls)
    const versions = (isTop: boolean) => answers.flatMap(({ version }, index) => (hasTopBit[index] === isTop ? [version] : []))
    return [new Set(versions(true)).size, new Set(versions(false)).size]
  }
  assert.deepEqual(await endpoints(theirs), [1, 4])
  assert.deepEqual(await endpoints(ours), [4, 4])
}

/** Whose answers each client gets to these calls, where the service `one` tells `v1` and `v2` apart. */
async function versions(t: TestContext, match: Parameters<typeof route>[0], calls: readonly DefectCall[]) {
  const paths = calls.flatMap(({ method }) => method ?? [])
  const [v1, v2] = await Promise.all(['v1', 'v2'].map(name => DefectBackend.start(t, name, paths.length > 0 ? paths : undefined)))
  assert.ok(v1 && v2)
  const { server, theirs, ours } = await setStage(t)
  server.set(...service('one', route(match, 'v1'), route('/', 'v2')))
  server.set(...cluster('v1', v1.address), ...cluster('v2', v2.address))
  const of = async (client: DefectClient) => (await client.callAll(calls)).map(({ version }) => version)
  return { theirs: await of(theirs), ours: await of(ours) }
}

async function alternation(t: TestContext): Promise<void> {
  const paths = ['/a/b', '/c/d', '/a/bEXTRA', '/XX/c/d']
  const match = { pathSpecifier: { case: 'safeRegex', value: { regex: '/a/b|/c/d' } } } as const
  const { theirs, ours } = await versions(
    t,
    match,
    paths.map(method => ({ method })),
  )
  assert.deepEqual(theirs, ['v1', 'v1', 'v1', 'v1'])
  assert.deepEqual(ours, ['v1', 'v1', 'v2', 'v2'])
}

/** Calls without the header `x-h`, and with another value than is matched. */
const headerVersions = (t: TestContext, matcher: MessageInitShape<typeof HeaderMatcherSchema>) =>
  versions(t, { pathSpecifier: { case: 'prefix', value: '/' }, headers: [{ ...matcher, name: 'x-h' }] }, [
    {},
    { metadata: { 'x-h': 'b' } },
  ])

async function invertedMatch(t: TestContext): Promise<void> {
  const value = { matchPattern: { case: 'exact', value: 'a' } } as const
  const { theirs, ours } = await headerVersions(t, {
    headerMatchSpecifier: { case: 'stringMatch', value },
    invertMatch: true,
  })
  assert.deepEqual(theirs, ['v1', 'v1'])
  assert.deepEqual(ours, ['v2', 'v1'])
}

async function absentMatch(t: TestContext): Promise<void> {
  const { theirs, ours } = await headerVersions(t, { headerMatchSpecifier: { case: 'presentMatch', value: false } })
  assert.deepEqual(theirs, ['v2', 'v1'])
  assert.deepEqual(ours, ['v1', 'v2'])
}

async function firstThreshold(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours } = await setStage(t)
  const limited = clusterMessage('limited')
  limited.circuitBreakers = create(CircuitBreakersSchema, { thresholds: [{ maxRequests: 1 }, { maxRequests: 100 }] })
  server.set(...service('one', route('/', 'limited')), limited, assignmentMessage('limited', backend.address))
  const secondCall = async (client: DefectClient) => {
    const id = `held by ${client.name}`
    const held = client.call({ id, metadata: { 'x-hold': '1' } })
    await backend.arrival(id)
    const { code } = await client.call()
    backend.release()
    assert.equal((await held).code, status.OK)
    return code
  }
  assert.equal(await secondCall(theirs), status.OK)
  assert.equal(await secondCall(ours), status.UNAVAILABLE)
}

/** Defects in what configuration means for a call. */
export const callDefects: readonly Defect[] = [
  {
    number: 7,
    theirs: '`idle_timeout` of a listener bounds calls, and `max_stream_duration` does not',
    ours: '`max_stream_duration` does (A31)',
    run: streamDuration,
  },
  {
    number: 8,
    theirs: 'a retry backoff of 1 s is 10 s',
    ours: 'at most 1 s (A44)',
    run: retryBackOff,
  },
  {
    number: 9,
    theirs: 'with two hash policies half of all calls go to one endpoint of a ring',
    ours: 'to all of them (A42)',
    run: combinedHash,
  },
  {
    number: 10,
    theirs: 'a `safe_regex` of two alternatives matches what only begins with the first, or ends with the second',
    ours: 'only what is one of them as a whole (A28)',
    run: alternation,
  },
  {
    number: 11,
    theirs: 'a header that is absent matches an inverted matcher of its value',
    ours: 'does not (A28)',
    run: invertedMatch,
  },
  {
    number: 11,
    theirs: '`present_match: false` matches a header that is there, and none that is not',
    ours: 'the other way round (A28)',
    run: absentMatch,
  },
  {
    number: 14,
    theirs: 'the last of two circuit breaker thresholds of a priority counts',
    ours: 'the first (A32)',
    run: firstThreshold,
  },
]
