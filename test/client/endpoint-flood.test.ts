import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createFetch } from '../../src/client/http/fetch.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { makeMesh } from '../support/test-mesh.ts'

test('F5: a flood of updates of endpoints leaves the connection to one that stays alone', async t => {
  const upstream = await startUpstream(t)
  const { source, dispatcher } = makeMesh(t)
  const fetch = createFetch(dispatcher)
  const targets = { b: makeTarget([makeVirtualHost([makeRoute('b')])]) }
  const commonLb = { healthyPanicThreshold: 0, failTrafficOnPanic: false, localityWeighted: false }
  for (let update = 0; update < 500; update++) {
    // Others come and go, and what is told of this one changes too.
    const others = Array.from({ length: 50 }, (_, at) => ({
      address: `10.0.${update % 250}.${at}`,
      health: 'unhealthy' as const,
    }))
    const weight = 1 + (update % 5)
    source.set({ targets, clusters: [makeCluster('b', [...others, { port: upstream.port, weight }], { commonLb })] })
    if (update % 10 !== 0) continue
    assert.equal(await (await fetch('http://b/')).text(), String(upstream.port))
    // The connection is free for another request one turn after the answer.
    await setImmediate()
  }
  assert.equal(upstream.seen.length, 50)
  assert.equal(new Set(upstream.seen.map(({ connection }) => connection)).size, 1)
})
