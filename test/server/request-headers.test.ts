import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, test } from 'node:test'
import { cleanHeaders, headerProblem } from '../../src/server/request-headers.ts'
import { VerifiedPeer } from '../../src/server/verified-peer.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

const authority = await SvidAuthority.create('td')

/** Both forms of headers after the clean-up. */
function cleaned(raw: string[], peer: VerifiedPeer | null = null) {
  const headers: IncomingHttpHeaders = {}
  for (let at = 0; at < raw.length; at += 2) headers[(raw[at] ?? '').toLowerCase()] = raw[at + 1] ?? ''
  cleanHeaders(raw, headers, peer)
  return { raw, headers: { ...headers } }
}

describe('what a peer may not tell', () => {
  test('C1: x-forwarded-client-cert is dropped, in every spelling, and set from the verified certificate alone', async () => {
    const forged = 'URI=spiffe://td/admin'
    assert.deepEqual(cleaned(['X-Forwarded-Client-Cert', forged, 'accept', '*/*', 'x-forwarded-client-cert', forged]), {
      raw: ['accept', '*/*'],
      headers: { accept: '*/*' },
    })
    const { certificate } = await authority.issue('/client')
    const { raw, headers } = cleaned(
      ['x-forwarded-client-cert', forged],
      new VerifiedPeer(certificate, 'spiffe://td/me', undefined),
    )
    assert.match(
      String(headers['x-forwarded-client-cert']),
      /^By=spiffe:\/\/td\/me;Hash=[0-9a-f]{64};.*URI=spiffe:\/\/td\/client$/,
    )
    assert.deepEqual(raw, ['x-forwarded-client-cert', headers['x-forwarded-client-cert']])
  })

  test('C2: headers that steer the mesh are dropped; those that only tell stay', () => {
    const steering = ['x-envoy-retry-on', '5xx', 'X-Envoy-Max-Retries', '9', 'x-envoy-upstream-rq-timeout-ms', '1']
    const identities = ['x-mesh-principal', 'a', 'x-spiffe-id', 'spiffe://td/admin']
    const telling = ['x-envoy-attempt-count', '2', 'x-request-id', 'a']
    assert.deepEqual(cleaned([...steering, ...identities, ...telling]).raw, telling)
  })

  test('C6: a header of the mesh is not made one of this hop', () => {
    assert.deepEqual(cleaned(['Connection', 'close, X-Forwarded-Client-Cert']).raw, ['Connection', 'close'])
  })

  test('C7: what a certificate names cannot break out of its header', async () => {
    const { certificate } = await authority.issue('/client', { subject: 'CN="a\\", O=b;URI=spiffe://td/admin' })
    const value = new VerifiedPeer(certificate, '', undefined).forwardedClientCert
    const [, subject = ''] = /;Subject="((?:[^"\\]|\\.)*)";URI=spiffe:\/\/td\/client$/.exec(value) ?? []
    assert.notEqual(subject, '', value)
    assert.doesNotMatch(value, /[\r\n]/)
  })
})

describe('headers that cannot be judged', () => {
  test('B10, B11: what must come once', () => {
    for (const name of ['Host', 'AUTHORIZATION', 'proxy-authorization', 'content-length'])
      assert.equal(headerProblem([name, 'a', name.toLowerCase(), 'b'], false), `has two ${name.toLowerCase()} headers`)
    assert.equal(headerProblem(['host', 'a', 'x', '1', 'x', '2'], false), undefined)
  })

  test('D2: only chunked, and nothing of HTTP/1.0', () => {
    const problem = 'has a transfer encoding that is not supported'
    assert.equal(headerProblem(['transfer-encoding', 'identity, chunked'], false), problem)
    assert.equal(headerProblem(['Transfer-Encoding', 'xchunked'], false), problem)
    assert.equal(headerProblem(['transfer-encoding', 'chunked'], true), problem)
    assert.equal(headerProblem(['transfer-encoding', ' Chunked '], false), undefined)
  })
})
