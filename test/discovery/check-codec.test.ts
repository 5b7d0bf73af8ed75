import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { decodeCheckResponse, encodeCheckRequest } from '../../src/discovery/check-codec.ts'
import { CheckRequestSchema } from '../../src/discovery/gen/envoy/service/auth/v3/external_auth_pb.ts'
import type { CheckAttributes } from '../../src/policies/ext-authz/check-attributes.ts'

const end = { address: '10.0.0.1', port: 5, principal: 'spiffe://a/b', certificate: '' }
const attributes: CheckAttributes = {
  source: end,
  destination: { ...end, certificate: 'pem' },
  contextExtensions: { a: 'b' },
  metadata: { filter: { key: ['v', 1, true, null] } },
  serverName: 'sni',
  request: {
    id: '1',
    timeMs: 1500,
    method: 'POST',
    headers: [':path', '/a', 'x-a', '1', 'x-a', '2', 'x-u', '\xc3\xbc', 'x-bad', '\xff!'],
    path: '/a',
    host: 'h',
    scheme: 'https',
    size: 3,
    protocol: 'HTTP/2',
    body: { bytes: Buffer.from([0x61, 0xff]), isPartial: true },
  },
}
const encoded = (encodesRawHeaders: boolean, isRawBody: boolean) => {
  const bytes = encodeCheckRequest(attributes, { encodesRawHeaders, isRawBody })
  return JSON.parse(JSON.stringify(toJson(CheckRequestSchema, fromBinary(CheckRequestSchema, bytes)))).attributes
}

test('a request is told as Envoy tells it', () => {
  const address = { socketAddress: { address: '10.0.0.1', portValue: 5 } }
  assert.deepEqual(encoded(false, false), {
    source: { address, principal: 'spiffe://a/b' },
    destination: { address, principal: 'spiffe://a/b', certificate: 'pem' },
    request: {
      time: '1970-01-01T00:00:01.500Z',
      http: {
        ...{ id: '1', method: 'POST', path: '/a', host: 'h', scheme: 'https', size: '3', protocol: 'HTTP/2' },
        // What is no UTF-8 is taken out of text.
        headers: { ':path': '/a', 'x-a': '1,2', 'x-u': 'ü', 'x-bad': '!!', 'x-envoy-auth-partial-body': 'true' },
        body: 'a!',
      },
    },
    contextExtensions: { a: 'b' },
    metadataContext: { filterMetadata: { filter: { key: ['v', 1, true, null] } } },
    routeMetadataContext: {},
    tlsSession: { sni: 'sni' },
  })
})

test('as it came, where that is asked for', () => {
  const { http } = encoded(true, true).request
  assert.deepEqual([http.headers, http.body, http.rawBody], [undefined, undefined, Buffer.from([0x61, 0xff]).toString('base64')])
  assert.deepEqual(
    http.headerMap.headers.map(({ key, rawValue }: { key: string; rawValue: string }) => [
      key,
      Buffer.from(rawValue, 'base64').toString('latin1'),
    ]),
    [
      [':path', '/a'],
      ['x-a', '1'],
      ['x-a', '2'],
      ['x-u', '\xc3\xbc'],
      ['x-bad', '\xff!'],
      ['x-envoy-auth-partial-body', 'true'],
    ],
  )
})

test('an answer of any bytes is read or is a failure, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      assert.ok(['allowed', 'denied', 'failed'].includes(decodeCheckResponse(bytes).kind))
    }),
  )
  assert.equal(decodeCheckResponse(Buffer.from([0x0a, 0x02, 0x08])).kind, 'failed')
})

test('no answer denies by leaving out what allows', () => {
  // `status { code: 7 }`, and a field that this version does not know.
  const denied = decodeCheckResponse(Buffer.from([0x0a, 0x02, 0x08, 0x07, 0xaa, 0x06, 0x00]))
  assert.deepEqual([denied.kind, 'status' in denied && denied.status], ['denied', 403])
})
