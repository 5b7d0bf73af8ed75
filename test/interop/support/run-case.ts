import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { CaseBackends } from './case-backends.ts'
import { assertShare, tally } from './share.ts'
import type { ClientAnswer, XdsClient } from './xds-client.ts'
import {
  type CaseChange,
  type CaseStep,
  type ClientName,
  type Expected,
  servicePort,
  type XdsClientCase,
} from './xds-client-case.ts'

/** Where a case is run. */
export interface CaseStage {
  readonly name: ClientName
  readonly client: XdsClient
  readonly host: string
  readonly backends: CaseBackends
  /** Serves the case's documents as they are now. */
  serve(http: string | undefined): Promise<void>
}

/** How long a change may take to get to a client. */
const changeMs = 20_000

/** Runs a case's steps, and rejects where it comes to something else than what is expected. */
export async function runCase({ http, steps }: XdsClientCase, stage: CaseStage): Promise<void> {
  let now = http
  const apply = async ({ kill, remove, http: next }: CaseChange) => {
    if (kill !== undefined) stage.backends.kill(kill)
    if (remove !== undefined) stage.backends.remove(remove)
    if (next !== undefined) now = next
    if (remove !== undefined || next !== undefined) await stage.serve(now)
  }
  for (const [index, step] of steps.entries()) {
    const label = `${stage.host}-${index}`
    if (step.change) await apply(step.change)
    if (step.until) await awaitOutcome(step, step.until, stage, label)
    const running = make(step, stage, label, step.times ?? 1, step.parallel ?? 1)
    if (step.meanwhile) {
      await stage.backends.nextCall()
      await apply(step.meanwhile)
    }
    const answers = await running
    const different = step.differs?.[stage.name]
    check(answers, different?.expect ?? step.expect, stage.backends, `step ${index + 1}`)
  }
}

async function make({ call = {} }: CaseStep, { client, host }: CaseStage, label: string, times: number, parallel: number) {
  const { method = '/inmesh.test.Echo/Echo', metadata = {}, deadlineMs = 10_000 } = call
  const target = `xds:///${host}:${servicePort}`
  const calls = Array.from({ length: times }, (_, number) => ({
    id: `${label}-${number}`,
    target,
    method,
    deadlineMs,
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, value.replace('#', String(number))])),
  }))
  return client.make(calls, parallel)
}

async function awaitOutcome(step: CaseStep, wanted: Pick<Expected, 'code' | 'version'>, stage: CaseStage, label: string) {
  const end = Date.now() + changeMs
  for (let count = 0; ; count++) {
    const [answer] = await make(step, stage, `${label}-until-${count}`, 1, 1)
    if (answer === undefined) continue
    if (answer.code === status[wanted.code ?? 'OK'] && (wanted.version ?? answer.version) === answer.version) return
    // A call that the client answers by itself must not keep the change from coming in.
    await setImmediate()
    if (Date.now() > end) throw new Error(`waited in vain for ${JSON.stringify(wanted)}, the last: ${JSON.stringify(answer)}`)
  }
}

function check(answers: readonly ClientAnswer[], expected: Expected, backends: CaseBackends, where: string): void {
  const { code = 'OK', tolerates, codes, counts, version, shares, atMost, oneVersion, minVersions } = expected
  const said = answers.map(answer => `${status[answer.code]} ${answer.message}`)
  const statuses = tally(answers.map(answer => status[answer.code] ?? ''))
  const versions = tally(answers.map(answer => answer.version))
  if (counts !== undefined) assert.deepEqual(Object.fromEntries(statuses), counts, where)
  else if (codes === undefined) {
    const others = [...statuses.keys()].filter(name => name !== tolerates || name === code)
    assert.deepEqual(others, [code], `${where}: ${[...new Set(said)].join('; ')}`)
  }
  for (const [name, share] of Object.entries(codes ?? {})) assertShare(statuses.get(name) ?? 0, answers.length, share)
  if (version !== undefined) assert.deepEqual([...versions.keys()], [version], where)
  for (const [name, share] of Object.entries(shares ?? {})) assertShare(versions.get(name) ?? 0, answers.length, share)
  for (const [name, share] of Object.entries(atMost ?? {})) {
    const count = versions.get(name) ?? 0
    assert.ok(count <= share * answers.length, `${where}: ${name} answered ${count} of ${answers.length}`)
  }
  if (oneVersion) assert.equal(versions.size, 1, `${where}: ${[...versions.keys()]}`)
  if (minVersions !== undefined) assert.ok(versions.size >= minVersions, `${where}: ${[...versions.keys()]}`)
  for (const answer of answers) checkOne(answer, expected, backends, where)
}

function checkOne({ id, elapsedMs }: ClientAnswer, expected: Expected, backends: CaseBackends, where: string): void {
  const { attempts, oneVersionOfCall, previousAttempts, minElapsedMs = 0, maxElapsedMs = Number.POSITIVE_INFINITY } = expected
  const seen = backends.attemptsOf(id)
  if (attempts !== undefined) assert.equal(seen.length, attempts, `${where}: attempts of ${id}`)
  if (oneVersionOfCall) assert.equal(new Set(seen.map(each => each.version)).size, 1, `${where}: versions of ${id}`)
  if (previousAttempts)
    assert.deepEqual(
      seen.map(each => each.previousAttempts),
      previousAttempts,
      where,
    )
  assert.ok(elapsedMs >= minElapsedMs && elapsedMs <= maxElapsedMs, `${where}: ${id} took ${elapsedMs} ms`)
}
