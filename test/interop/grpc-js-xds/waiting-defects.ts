import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { status } from '@grpc/grpc-js'
import { typeUrls } from '../../../src/discovery/resource-type.ts'
import { assignmentMessage, clusterMessage } from '../../support/xds-resources.ts'
import type { Defect } from './defect.ts'
import { DefectBackend, echoPath } from './defect-backend.ts'
import type { DefectClient } from './defect-client.ts'
import { cluster, route, routes, service } from './defect-resources.ts'
import { type DefectStage, setStage } from './defect-stage.ts'
import { eventually } from './eventually.ts'

/** Longer than the 15 s after which a resource does not exist (gRFC A57). */
const deadlineMs = 18_000

const { cluster: cds, clusterLoadAssignment: eds } = typeUrls

async function missingEndpoints(t: TestContext): Promise<void> {
  const badPath = '/inmesh.test.Bad/Echo'
  const backend = await DefectBackend.start(t, 'v1', [echoPath, badPath])
  const { server, theirs, ours } = await setStage(t)
  server.set(...service('one', route(badPath, 'bad'), route('/', 'good')), ...cluster('good', backend.address))
  server.set(clusterMessage('bad'))
  const codes = async (client: DefectClient) => {
    const answers = await client.callAll([{ deadlineMs }, { deadlineMs, method: badPath }])
    return answers.map(({ code }) => code)
  }
  assert.deepEqual(await Promise.all([codes(theirs), codes(ours)]), [
    [status.DEADLINE_EXCEEDED, status.DEADLINE_EXCEEDED],
    [status.OK, status.UNAVAILABLE],
  ])
  server.set(assignmentMessage('bad', backend.address))
  assert.deepEqual(await codes(theirs), [status.OK, status.OK])
  await eventually(
    () => codes(ours),
    ([, bad]) => bad === status.OK,
  )
}

async function missingListener(t: TestContext): Promise<void> {
  const { theirs, ours } = await setStage(t)
  const codes = async (ms: number) => {
    const answers = await Promise.all([theirs.call({ deadlineMs: ms }), ours.call({ deadlineMs: ms })])
    return answers.map(({ code }) => code)
  }
  assert.deepEqual(await codes(deadlineMs), [status.DEADLINE_EXCEEDED, status.UNAVAILABLE])
  // Calls that begin when it is known by now.
  assert.deepEqual(await codes(1000), [status.DEADLINE_EXCEEDED, status.UNAVAILABLE])
}

async function secondStream(t: TestContext): Promise<void> {
  const backend = await DefectBackend.start(t, 'v1')
  const { server, theirs, ours } = await setStage(t, { answersUnknown: false })
  server.set(...service('one', route('/', 'good')), ...cluster('good', backend.address))
  for (const name of ['first', 'second']) server.set(...service(name, route('/', `${name} missing`)))
  const both = [theirs, ours]
  for (const client of both) assert.equal((await client.call()).code, status.OK)
  const codes = async (listener: string) => {
    const answers = await Promise.all(both.map(client => client.call({ listener, deadlineMs })))
    return answers.map(({ code }) => code)
  }
  assert.deepEqual(await codes('first'), [status.UNAVAILABLE, status.UNAVAILABLE])
  await reopened({ server, theirs, ours })
  assert.deepEqual(await codes('second'), [status.DEADLINE_EXCEEDED, status.UNAVAILABLE])
}

/** Ends all streams, and resolves when each client has another; the connections stay. */
async function reopened({ server, theirs, ours }: Pick<DefectStage, 'server' | 'theirs' | 'ours'>): Promise<void> {
  const known = new Set(server.requests.map(({ stream }) => stream))
  server.endStreams()
  for (const client of [theirs, ours]) await client.request(({ stream }) => !known.has(stream))
}

/** Both clients ask for cluster `x`, which is not there yet; what `forget` does ends the wait for it. Then it comes. */
async function forgottenWait(t: TestContext, forget: (stage: DefectStage, yAddress: string) => Promise<void>): Promise<void> {
  const [x, y] = await Promise.all([DefectBackend.start(t, 'x'), DefectBackend.start(t, 'y')])
  const stage = await setStage(t, { answersUnknown: false })
  const { server, theirs, ours } = stage
  server.set(...service('one', route('/', 'x')))
  const waiting = []
  // Ours first, so that its wait would be over first.
  for (const client of [ours, theirs]) {
    waiting.push(client.call({ deadlineMs }))
    await client.request(({ typeUrl, names }) => typeUrl === cds && names.includes('x'))
  }
  await forget(stage, y.address)
  server.set(routes('one', route('/', 'x')), ...cluster('x', x.address))
  await Promise.all(waiting)
  for (const client of [ours, theirs])
    await eventually(
      () => client.call(),
      ({ version }) => version === 'x',
    )
  // Their wait is over: whose cluster does not exist wants no endpoints.
  const known = new Set(server.requests)
  await theirs.request(each => !known.has(each) && each.typeUrl === eds && !each.names.includes('x'))
  const [their, our] = [await theirs.call(), await ours.call()]
  assert.deepEqual([their.code, our.code], [status.UNAVAILABLE, status.OK])
  assert.match(their.message, /Cluster resource x does not exist/)
}

const endedSubscription = (t: TestContext) =>
  forgottenWait(t, async ({ server, theirs, ours }, yAddress) => {
    const known = new Set(server.requests)
    server.set(routes('one', route('/', 'y')), ...cluster('y', yAddress))
    for (const client of [theirs, ours])
      await client.request(each => !known.has(each) && each.typeUrl === cds && !each.names.includes('x'))
  })

/** Defects in how long a resource is waited for. */
export const waitingDefects: readonly Defect[] = [
  {
    number: 1,
    theirs: 'a cluster whose endpoints never come keeps every call of its channel waiting, also to other clusters',
    ours: 'its calls fail after 15 s, and the others go on; a new channel waits until that is known (A74)',
    run: missingEndpoints,
  },
  {
    number: 2,
    theirs: 'calls to a listener that does not exist wait for their deadlines, new ones as well',
    ours: 'fail after 15 s, new ones at once (A57)',
    run: missingListener,
  },
  {
    number: 3,
    theirs: 'on a second stream over the same connection, a resource that does not exist is waited for without end',
    ours: '15 s, as on the first (A57)',
    run: secondStream,
  },
  {
    number: 14,
    theirs: 'the wait goes on after its subscription has ended, and then says of a cluster in use that it does not exist',
    ours: 'ends with the subscription',
    run: endedSubscription,
  },
  {
    number: 14,
    theirs: 'the same after its stream has ended',
    ours: 'ends with the stream (A57)',
    run: t => forgottenWait(t, reopened),
  },
]
