import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MeshError } from '../../src/errors.ts'
import { fullUrl, knownMethod, serverAddress } from '../../src/telemetry/semantic-conventions.ts'
import { Stats } from '../../src/telemetry/stats.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { outcome } from '../support/outcome.ts'

const labels = {
  scheme: 'http',
  authority: 'reviews:9080',
  virtualHost: 'reviews',
  routeName: 'canary',
  urlTemplate: '/reviews/*',
  clusterName: 'outbound|9080|v2|reviews',
  destination: { service: 'reviews', version: 'v2' },
  protocolVersion: '1.1',
}

const shared = {
  'server.address': 'reviews',
  'server.port': 9080,
  'url.scheme': 'http',
  'network.protocol.version': '1.1',
  'url.template': '/reviews/*',
  'inmesh.source.service': 'productpage',
  'inmesh.destination.service': 'reviews',
  'inmesh.destination.version': 'v2',
  'inmesh.route': 'canary',
  'inmesh.cluster': 'outbound|9080|v2|reviews',
}

describe('attributes of a client request, by how it ended', () => {
  const aborted = new DOMException('no longer wanted', 'AbortError')
  const overflow = new MeshError('MESH_ERR_OVERFLOW', 'too many', { flag: 'UO' })
  const cases: readonly [string, Parameters<typeof outcome>[0], object][] = [
    ['answered', { statusCode: 200 }, { 'http.response.status_code': 200 }],
    ['redirected', { statusCode: 302 }, { 'http.response.status_code': 302 }],
    ['refused', { statusCode: 404 }, { 'http.response.status_code': 404, 'error.type': '404' }],
    [
      'retries spent',
      { statusCode: 503, flag: 'URX' },
      withFlag('URX', { 'http.response.status_code': 503, 'error.type': '503' }),
    ],
    ['the mesh failed it', { error: overflow, flag: 'UO' }, withFlag('UO', { 'error.type': 'MESH_ERR_OVERFLOW' })],
    ['aborted', { error: aborted, flag: 'DC' }, withFlag('DC', { 'error.type': 'AbortError' })],
    [
      'an unknown method',
      { method: 'PURGE', statusCode: 200 },
      { 'http.request.method': '_OTHER', 'http.response.status_code': 200 },
    ],
  ]
  for (const [name, fields, attributes] of cases) {
    test(name, () => {
      const cell = new Stats('productpage', new ManualClock()).bind(labels).cell(outcome(fields))
      assert.deepEqual(cell.attributes, { 'http.request.method': 'GET', ...shared, ...attributes })
    })
  }
})

function withFlag(flag: string, attributes: object): object {
  return { ...attributes, 'inmesh.response_flag': flag }
}

test('methods of the RFCs are kept, others are _OTHER', () => {
  const known = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']
  assert.deepEqual(known.map(knownMethod), known)
  assert.deepEqual(['get', 'PURGE', ''].map(knownMethod), ['_OTHER', '_OTHER', '_OTHER'])
})

test('an authority is split into server.address and server.port', () => {
  assert.deepEqual(serverAddress('a', 'http'), { address: 'a', port: 80 })
  assert.deepEqual(serverAddress('a', 'https'), { address: 'a', port: 443 })
  assert.deepEqual(serverAddress('a.b:8080', 'https'), { address: 'a.b', port: 8080 })
  assert.deepEqual(serverAddress('[::1]:81', 'http'), { address: '::1', port: 81 })
  assert.deepEqual(serverAddress('[::1]', 'http'), { address: '::1', port: 80 })
})

test('url.full carries no credentials', () => {
  assert.equal(fullUrl('http', 'me:secret@a:81', '/p?q=1'), 'http://a:81/p?q=1')
  assert.equal(fullUrl('https', 'a', '/?sig=abc&x=1&Signature=d%2F'), 'https://a/?sig=REDACTED&x=1&Signature=REDACTED')
  assert.equal(fullUrl('https', 'a', '/?design=abc'), 'https://a/?design=abc')
})
