import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { status } from '@grpc/grpc-js'
import { HTTPFaultSchema } from '../../../src/discovery/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts'
import { HttpFilterSchema } from '../../../src/discovery/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts'
import { typeUrls } from '../../../src/discovery/resource-type.ts'
import { assignmentMessage } from '../../support/xds-resources.ts'
import type { Defect } from './defect.ts'
import { DefectBackend } from './defect-backend.ts'
import type { DefectClient } from './defect-client.ts'
import { cluster, limitedListener, listener, route, routes, service } from './defect-resources.ts'
import { setStage } from './defect-stage.ts'
import { eventually } from './eventually.ts'

const { listener: lds, routeConfiguration: rds, clusterLoadAssignment: eds } = typeUrls

async function deletedAndBack(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours, change } = await setStage(t, { features: ['fail_on_data_errors'] })
  const resources = service('one', route('/', 'good'))
  server.set(...resources, ...cluster('good', backend.address))
  const both = [theirs, ours]
  for (const client of both) assert.equal((await client.call()).code, status.OK)
  await change(lds, () => server.delete(lds, 'one'))
  for (const client of both)
    await eventually(
      () => client.call(),
      ({ code }) => code === status.UNAVAILABLE,
    )
  await change(lds, () => server.set(...resources))
  await eventually(
    () => ours.call(),
    ({ code }) => code === status.OK,
  )
  const { code, message } = await theirs.call()
  assert.equal(code, status.UNAVAILABLE)
  assert.match(message, /Last error: null\. Resolution note: $/)
}

async function endingStreams(t: TestContext): Promise<void> {
  const { server, theirs, ours } = await setStage(t)
  server.set(...service('one', route('/', 'good')))
  /** Ends each stream once it was answered; the times between six of them. */
  const gapsMs = async (client: DefectClient) => {
    const call = client.call({ deadlineMs: 1000 })
    const streams = new Set<number>()
    const beganMs: number[] = []
    while (streams.size < 6) {
      const { stream } = await client.request(each => each.nonce !== '' && !streams.has(each.stream))
      beganMs.push(performance.now())
      streams.add(stream)
      server.endStream(stream)
    }
    await call
    return beganMs.slice(1).map((ms, index) => ms - (beganMs[index] ?? 0))
  }
  const [their, our] = await Promise.all([gapsMs(theirs), gapsMs(ours)])
  const grows = their.every((ms, index) => index === 0 || ms > (their[index - 1] ?? 0))
  // 1 s, four times longer by the factor 1.6 less a fifth, is 2.7 s.
  assert.ok(grows && (their.at(-1) ?? 0) > 2500, `theirs: ${their}`)
  assert.ok(Math.max(...our) < 2500, `ours: ${our}`)
}

async function grownListener(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours, change } = await setStage(t)
  // They take the one for the other (defect 7): with both, each client can be seen to take it from a listener that is new.
  const limited = (name: string) => limitedListener(name, 'maxStreamDuration', 'idleTimeout')
  server.set(...service('one', route('/', 'good')), ...service('new', route('/', 'good')), limited('new'))
  server.set(...cluster('good', backend.address))
  for (const client of [theirs, ours]) {
    assert.equal(await backend.isLimited(client.call()), false)
    assert.equal(await backend.isLimited(client.call({ listener: 'new' })), true)
  }
  await change(lds, () => server.set(limited('one')))
  await eventually(
    () => backend.isLimited(ours.call()),
    isLimited => isLimited,
  )
  assert.equal(await backend.isLimited(theirs.call()), false)
}

async function grownMap(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours, change } = await setStage(t)
  const fault = {
    name: 'fault',
    configType: { case: 'typedConfig', value: anyPack(HTTPFaultSchema, create(HTTPFaultSchema)) },
  } as const
  const filtered = (name: string) =>
    listener(name, ({ httpFilters }) => void httpFilters.unshift(create(HttpFilterSchema, fault)))
  const errorType = { case: 'grpcStatus', value: status.ABORTED } as const
  const abort = create(HTTPFaultSchema, { abort: { errorType, percentage: { numerator: 100 } } })
  const aborted = (name: string) =>
    routes(name, { ...route('/', 'good'), typedPerFilterConfig: { fault: anyPack(HTTPFaultSchema, abort) } })
  server.set(filtered('one'), routes('one', route('/', 'good')), filtered('new'), aborted('new'))
  server.set(...cluster('good', backend.address))
  for (const client of [theirs, ours]) {
    assert.equal((await client.call()).code, status.OK)
    assert.equal((await client.call({ listener: 'new' })).code, status.ABORTED)
  }
  await change(rds, () => server.set(aborted('one')))
  await eventually(
    () => ours.call(),
    ({ code }) => code === status.ABORTED,
  )
  assert.equal((await theirs.call()).code, status.OK)
}

async function deletedForGood(t: TestContext): Promise<void> {
  const [v1, v2] = await Promise.all([DefectBackend.start(t, 'v1'), DefectBackend.start(t, 'v2')])
  const { server, theirs, ours, change } = await setStage(t, { features: ['fail_on_data_errors'] })
  const whole = listener('one', manager => {
    manager.routeSpecifier = { case: 'routeConfig', value: routes('one', route('/', 'good')) }
  })
  server.set(whole, ...service('other', route('/', 'good')), ...cluster('good', v1.address))
  const both = [theirs, ours]
  for (const client of both)
    for (const name of ['one', 'other']) assert.equal((await client.call({ listener: name })).version, 'v1')
  await change(lds, () => server.delete(lds, 'one'))
  for (const client of both)
    await eventually(
      () => client.call(),
      ({ code }) => code === status.UNAVAILABLE,
    )
  await change(eds, () => server.set(assignmentMessage('good', v2.address)))
  for (const client of both)
    await eventually(
      () => client.call({ listener: 'other' }),
      ({ version }) => version === 'v2',
    )
  const [their, our] = [await theirs.call(), await ours.call()]
  assert.deepEqual([their.code, their.version, our.code], [status.OK, 'v2', status.UNAVAILABLE])
}

/** Defects in what becomes of an update, a deletion and the end of a stream. */
export const updateDefects: readonly Defect[] = [
  {
    number: 4,
    theirs: 'a listener that is deleted and comes back the same stays gone, with an error that says nothing',
    ours: 'is used again (A53); `fail_on_data_errors` is on here, since what is held outlives a deletion without (A88)',
    run: deletedAndBack,
  },
  {
    number: 5,
    theirs: 'each stream that ends is opened again later than the one before, though all were answered',
    ours: 'about a second each time (A57)',
    run: endingStreams,
  },
  {
    number: 6,
    theirs: 'a listener that gains `common_http_protocol_options` counts as unchanged, and is not used',
    ours: 'is used',
    run: grownListener,
  },
  {
    number: 6,
    theirs: 'a route that gains a `typed_per_filter_config` counts as unchanged, and is not used',
    ours: 'is used',
    run: grownMap,
  },
  {
    number: 14,
    theirs: 'the next update of an endpoint brings back a listener that was deleted',
    ours: 'it stays deleted; `fail_on_data_errors` as above',
    run: deletedForGood,
  },
]
