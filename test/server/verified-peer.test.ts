import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { VerifiedPeer } from '../../src/server/verified-peer.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

const authority = await SvidAuthority.create('td')
type Options = Parameters<typeof authority.issue>[1]
const peerOf = async (options: Options) => new VerifiedPeer((await authority.issue('/x', options)).certificate, '', undefined)

describe('the names of a peer (A41)', () => {
  test('are its URIs, else its DNS names', async () => {
    const both = await peerOf({ subject: 'CN=x', names: ['dns:a.test', 'url:spiffe://td/a', 'url:spiffe://td/b'] })
    assert.deepEqual(both.principals, ['spiffe://td/a', 'spiffe://td/b'])
    assert.deepEqual(both.allNames, ['spiffe://td/a', 'spiffe://td/b', 'a.test', 'CN=x'])
    const dns = await peerOf({ subject: 'CN=x', names: ['dns:a.test', 'dns:b.test'] })
    assert.deepEqual(dns.principals, ['a.test', 'b.test'])
  })

  test('else the subject, as RFC 2253 has it', async () => {
    const { principals } = await peerOf({ subject: 'C=DE, O=shop, CN=a', names: ['ip:10.0.0.1'] })
    assert.deepEqual(principals, ['CN=a,O=shop,C=DE'])
  })
})
