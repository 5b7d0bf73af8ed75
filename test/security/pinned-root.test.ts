import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { findPinnedRoot } from '../../src/security/pinned-root.ts'
import { TestCa } from '../support/test-ca.ts'

const pinOf = ({ publicKey }: X509Certificate) =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')

test('the root with the pin is found among what a server presents, and no other', async t => {
  const ca = await TestCa.create(t)
  const other = new X509Certificate((await TestCa.create(t)).certificate)
  const root = new X509Certificate(ca.certificate)
  const leaf = new X509Certificate((await ca.issue('dns:localhost')).certificate)
  assert.equal(findPinnedRoot([leaf, other, root], pinOf(root)), root)
  assert.equal(findPinnedRoot([leaf, other], pinOf(root)), undefined)
  assert.equal(findPinnedRoot([], pinOf(root)), undefined)
})

test('a leaf whose key has the pin is no root', async t => {
  const leaf = new X509Certificate((await (await TestCa.create(t)).issue('dns:localhost')).certificate)
  assert.equal(findPinnedRoot([leaf], pinOf(leaf)), undefined)
})
