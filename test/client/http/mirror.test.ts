import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { request } from 'undici'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { startUpstream } from '../../support/http-upstream.ts'
import { makeMesh } from '../../support/test-mesh.ts'
import { until } from '../../support/until.ts'

async function setUp(t: TestContext) {
  const [own, shadow] = await Promise.all([startUpstream(t), startUpstream(t)])
  const { dispatcher, source } = makeMesh(t, { environment: { maxReplayBytes: 10 } })
  const mirrors = [{ cluster: 'shadow', fraction: { numerator: 100, denominator: 100 }, disableHostSuffix: false } as const]
  source.set({
    targets: { a: makeTarget([makeVirtualHost([makeRoute('own', { mirrors })])]) },
    clusters: [makeCluster('own', [own.address]), makeCluster('shadow', [shadow.address])],
  })
  const send = async (body: string | Buffer | Readable) => {
    const answer = await request('http://a/x?y=1', { method: 'POST', body, dispatcher })
    await answer.body.dump()
  }
  return { own, shadow, send }
}

describe('a mirrored request', () => {
  const bodies = {
    text: () => 'hello',
    bytes: () => Buffer.from('hello'),
    'a stream': () => Readable.from([Buffer.from('he'), Buffer.from('llo')]),
  }
  for (const [name, body] of Object.entries(bodies)) {
    test(`has the path and the body: ${name}`, async t => {
      const { own, shadow, send } = await setUp(t)
      await send(body())
      await until(() => shadow.seen.length > 0)
      for (const { method, url, body: sent } of [...own.seen, ...shadow.seen])
        assert.deepEqual([method, url, sent], ['POST', '/x?y=1', 'hello'])
    })
  }

  test('is not sent when its body could not be held', async t => {
    const { own, shadow, send } = await setUp(t)
    await send(Readable.from([Buffer.from('hello '), Buffer.from('world')]))
    assert.equal(own.seen[0]?.body, 'hello world')
    await send('end')
    await until(() => shadow.seen.length > 0)
    assert.deepEqual(
      shadow.seen.map(({ body }) => body),
      ['end'],
    )
  })
})
