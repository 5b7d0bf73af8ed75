import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseGrpcTarget } from '../../src/discovery/grpc-target.ts'

const tcp = (host: string, port: number, authority: string) => ({ kind: 'tcp', host, port, authority })

suite('gRPC targets (gRPC name resolution)', () => {
  for (const [target, address] of [
    ['istiod:15010', tcp('istiod', 15010, 'istiod:15010')],
    ['istiod', tcp('istiod', 443, 'istiod:443')],
    ['127.0.0.1:15010', tcp('127.0.0.1', 15010, '127.0.0.1:15010')],
    ['[::1]:15010', tcp('::1', 15010, '[::1]:15010')],
    ['dns:istiod:15010', tcp('istiod', 15010, 'istiod:15010')],
    ['dns:///istiod:15010', tcp('istiod', 15010, 'istiod:15010')],
    ['dns://8.8.8.8/istiod:15010', tcp('istiod', 15010, 'istiod:15010')],
    ['passthrough:///istiod:15010', tcp('istiod', 15010, 'istiod:15010')],
    ['ipv4:10.0.0.1:80,10.0.0.2:80', tcp('10.0.0.1', 80, '10.0.0.1:80')],
    ['ipv6:[::1]:80', tcp('::1', 80, '[::1]:80')],
    ['unix:///etc/istio/proxy/XDS', { kind: 'unix', path: '/etc/istio/proxy/XDS', authority: 'localhost' }],
    ['unix:./xds.sock', { kind: 'unix', path: './xds.sock', authority: 'localhost' }],
    ['unix-abstract:xds', { kind: 'unix', path: '\0xds', authority: 'localhost' }],
  ] as const) {
    test(target, () => assert.deepEqual(parseGrpcTarget(target), address))
  }

  for (const target of ['', 'a b:1:2', 'host:99999', 'http://host:1']) {
    test(`${JSON.stringify(target)} is refused by name`, () =>
      assert.throws(() => parseGrpcTarget(target), { message: `${JSON.stringify(target)} is no gRPC target` }))
  }
})
