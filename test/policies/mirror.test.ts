import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMirrored, type MirrorPolicy, mirrorAuthority } from '../../src/policies/mirror.ts'

const policy = (numerator: number, disableHostSuffix = false): MirrorPolicy => ({
  cluster: 'shadow',
  fraction: { numerator, denominator: 100 },
  disableHostSuffix,
})

test('a share of the requests is mirrored, strictly below the fraction', () => {
  assert.deepEqual(
    [0, 0.2499, 0.25, 0.999].map(random => isMirrored(policy(25), random)),
    [true, true, false, false],
  )
  assert.ok(!isMirrored(policy(0), 0))
  assert.ok(isMirrored(policy(100), 0.999999))
})

test('-shadow goes between the name and the port', () => {
  assert.deepEqual(
    ['a', 'a:80', 'a.b.svc:8080', '[::1]:80', '[::1]'].map(each => mirrorAuthority(policy(100), each)),
    ['a-shadow', 'a-shadow:80', 'a.b.svc-shadow:8080', '[::1]-shadow:80', '[::1]-shadow'],
  )
  assert.equal(mirrorAuthority(policy(100, true), 'a:80'), 'a:80')
})
