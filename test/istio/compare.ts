import assert from 'node:assert/strict'
import type { Dispatcher } from 'undici'
import { servicePort } from './documents.ts'
import type { Ask, Observation } from './observe.ts'

/** Asks through a mesh, with a path that nobody normalises before the mesh sees it. */
export function askMesh(dispatcher: Dispatcher): Ask {
  return async (host, { path, method, headers }) => {
    const answer = await dispatcher.request({
      origin: `http://${host}:${servicePort}`,
      path,
      method: (method ?? 'GET') as Dispatcher.HttpMethod,
      headers: { ...headers },
    })
    const flat = Object.entries(answer.headers).map(([name, value]) => [name, String(value)])
    return { status: answer.statusCode, headers: Object.fromEntries(flat), body: await answer.body.text() }
  }
}

/** The widest difference of two shares of 300 to 1,000 random choices that chance explains. */
const tolerance = 0.09

/** Throws when two judges saw different things. */
export function assertSame(actual: readonly Observation[], expected: readonly Observation[]): void {
  assert.equal(actual.length, expected.length)
  for (const [index, want] of expected.entries()) {
    const got = actual[index]
    if (want.kind === 'answer') assert.deepEqual(got, want, `request ${index + 1}`)
    else if (got?.kind === 'split') assertSameSplit(got.shares, want.shares)
    else assert.fail(`request ${index + 1} is not a split`)
  }
}

function assertSameSplit(actual: Readonly<Record<string, number>>, expected: Readonly<Record<string, number>>): void {
  const who = new Set([...Object.keys(actual), ...Object.keys(expected)])
  for (const name of who) {
    const [got = 0, want = 0] = [actual[name], expected[name]]
    assert.ok(Math.abs(got - want) < tolerance, `${name} gets ${got}, and ${want} through Istio`)
  }
}
