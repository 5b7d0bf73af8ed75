import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTargetName, targetUri } from '../../src/discovery/target-name.ts'

test('an authority as it stands is known by the control plane at the top of the bootstrap', () => {
  assert.deepEqual(parseTargetName('reviews:9080'), { xdsAuthority: undefined, authority: 'reviews:9080' })
  assert.equal(targetUri('reviews:9080'), 'xds:///reviews:9080')
})

test('xds://authority/name is known by an authority of the bootstrap (gRFC A47)', () => {
  assert.deepEqual(parseTargetName('xds://auth/reviews:9080'), { xdsAuthority: 'auth', authority: 'reviews:9080' })
  assert.deepEqual(parseTargetName('xds://a%2Fb/a/%5Bx%5D'), { xdsAuthority: 'a/b', authority: 'a/[x]' })
  assert.deepEqual(parseTargetName('xds://auth/%zz'), { xdsAuthority: 'auth', authority: '%zz' })
  assert.equal(targetUri('xds://auth/reviews'), 'xds://auth/reviews')
})
