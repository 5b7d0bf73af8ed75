import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../../support/fake-config-source.ts'
import { startUpstream } from '../../support/http-upstream.ts'
import { makeMesh } from '../../support/test-mesh.ts'

describe('MeshDispatcher', () => {
  it('sends to the endpoints of the cluster, the Host header logical', async t => {
    const upstreams = [await startUpstream(t), await startUpstream(t)]
    const { source, dispatcher, telemetry } = makeMesh(t)
    source.set({
      targets: { reviews: makeTarget([makeVirtualHost([makeRoute('reviews-v1')])]) },
      clusters: [
        makeCluster(
          'reviews-v1',
          upstreams.map(({ address }) => address),
        ),
      ],
    })
    const ports = new Set<string>()
    for (let call = 0; call < 4; call++) {
      const { statusCode, body } = await request('http://reviews/a?b=1', { dispatcher })
      assert.equal(statusCode, 200)
      ports.add(await body.text())
    }
    assert.equal(ports.size, 2)
    for (const { seen } of upstreams) {
      assert.equal(seen.length, 2)
      assert.equal(seen[0]?.headers.host, 'reviews')
      assert.equal(seen[0]?.url, '/a?b=1')
    }
    assert.equal(telemetry.finished.length, 4)
    assert.equal(telemetry.bound.length, 1)
  })
})
