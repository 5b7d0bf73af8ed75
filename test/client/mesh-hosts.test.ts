import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type HostOwner, MeshHosts, ownerByShape, parseMeshHosts } from '../../src/client/mesh-hosts.ts'

describe('MeshHosts by shape', () => {
  const table: readonly [string, HostOwner][] = [
    ['reviews', 'mesh'],
    ['reviews.default.svc', 'mesh'],
    ['reviews.default.svc.cluster.local', 'mesh'],
    ['reviews.mesh', 'mesh'],
    ['db.internal', 'mesh'],
    ['localhost', 'outside'],
    ['app.localhost', 'outside'],
    ['127.0.0.1', 'outside'],
    ['10.1.2.3', 'outside'],
    ['::1', 'outside'],
    ['', 'outside'],
    ['api.stripe.com', 'probe'],
    ['reviews.default', 'probe'],
  ]
  for (const [host, owner] of table) it(`${host || '(empty)'} is ${owner}`, () => assert.equal(ownerByShape(host), owner))
})

describe('MeshHosts by pattern', () => {
  const hosts = new MeshHosts({
    kind: 'patterns',
    patterns: ['reviews', 'ratings:9080', '*.shop.example', '*.eu.example:8443', '[::1]:9000'],
  })
  const table: readonly [string, string, HostOwner][] = [
    ['reviews', '80', 'mesh'],
    ['reviews', '9999', 'mesh'],
    ['ratings', '9080', 'mesh'],
    ['ratings', '80', 'outside'],
    ['cart.shop.example', '443', 'mesh'],
    ['a.b.shop.example', '443', 'mesh'],
    ['shop.example', '443', 'outside'],
    ['x.eu.example', '8443', 'mesh'],
    ['x.eu.example', '443', 'outside'],
    ['details', '80', 'outside'],
    ['::1', '9000', 'mesh'],
    ['::1', '9001', 'outside'],
  ]
  for (const [host, port, owner] of table) it(`${host}:${port} is ${owner}`, () => assert.equal(hosts.owner(host, port), owner))

  it('watches the exact names from the start', () =>
    assert.deepEqual(hosts.exactNames, ['reviews', 'ratings:9080', '[::1]:9000']))

  it('takes * for every host', () =>
    assert.equal(new MeshHosts({ kind: 'patterns', patterns: ['*'] }).owner('10.0.0.1', '80'), 'mesh'))
})

describe('parseMeshHosts', () => {
  it('splits at commas and white space', () => assert.deepEqual(parseMeshHosts(' a, *.b\n c:80 '), ['a', '*.b', 'c:80']))
  it('is undefined when nothing is named', () => assert.equal(parseMeshHosts(' , '), undefined))
})
