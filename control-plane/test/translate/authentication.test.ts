import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { peerAuthenticationMode } from '../../src/translate/authorization/peer-authentication-mode.ts'
import { requestAuthenticationFilter } from '../../src/translate/authorization/request-authentication-filter.ts'
import { decodeGood } from '../support/documents.ts'
import { securityYaml } from '../support/security.ts'

const workload = { namespace: 'shop', labels: { app: 'web', version: 'v1' } }
const peer = (name: string, namespace: string, spec: string, created = '') =>
  securityYaml(
    'PeerAuthentication',
    name,
    spec,
    `, namespace: ${namespace}${created === '' ? '' : `, creationTimestamp: "${created}"`}`,
  )
const modes = (yaml: string, ...ports: readonly number[]) => {
  const { peerAuthentications } = decodeGood(yaml)
  return ports.map(port => peerAuthenticationMode(workload, peerAuthentications, port))
}

describe('the mode of a port', () => {
  const mesh = (mode: string) => peer('mesh', 'istio-system', `{ mtls: { mode: ${mode} } }`)
  const namespace = (mode: string) => peer('namespace', 'shop', `{ mtls: { mode: ${mode} } }`)
  const web = (mode: string, ports = '') =>
    peer('web', 'shop', `{ selector: { matchLabels: { app: web } }, mtls: { mode: ${mode} }${ports} }`)
  const cases: readonly [string, string, string][] = [
    ['nothing said', '', 'PERMISSIVE'],
    ['the mesh', mesh('STRICT'), 'STRICT'],
    ['the mesh unset', mesh('UNSET'), 'PERMISSIVE'],
    ['the namespace before the mesh', mesh('STRICT') + namespace('DISABLE'), 'DISABLE'],
    ['the namespace unset', mesh('STRICT') + namespace('UNSET'), 'STRICT'],
    ['the workload before the namespace', mesh('DISABLE') + namespace('PERMISSIVE') + web('STRICT'), 'STRICT'],
    ['the workload unset', mesh('DISABLE') + namespace('STRICT') + web('UNSET'), 'STRICT'],
    [
      'another workload',
      namespace('STRICT') + peer('x', 'shop', '{ selector: { matchLabels: { app: x } }, mtls: { mode: DISABLE } }'),
      'STRICT',
    ],
    ['another namespace', peer('x', 'other', '{ mtls: { mode: STRICT } }'), 'PERMISSIVE'],
    [
      'a selector in the root namespace',
      peer('x', 'istio-system', '{ selector: { matchLabels: { app: web } }, mtls: { mode: STRICT } }'),
      'PERMISSIVE',
    ],
    [
      'the oldest of a namespace, even unset',
      peer('a', 'shop', '{ mtls: { mode: DISABLE } }', '2026-02-01T00:00:00Z') + peer('b', 'shop', '{}', '2026-01-01T00:00:00Z'),
      'PERMISSIVE',
    ],
  ]
  for (const [what, yaml, expected] of cases) test(`${what}: ${expected}`, () => assert.deepEqual(modes(yaml, 80), [expected]))

  test('the port before the workload, which it inherits when unset', () => {
    const yaml = namespace('PERMISSIVE') + web('STRICT', ', portLevelMtls: { 80: { mode: DISABLE }, 81: { mode: UNSET } }')
    assert.deepEqual(modes(yaml, 80, 81, 82), ['DISABLE', 'STRICT', 'STRICT'])
  })

  test('another root namespace', () => {
    const { peerAuthentications } = decodeGood(peer('mesh', 'root', '{ mtls: { mode: STRICT } }'))
    assert.equal(peerAuthenticationMode(workload, peerAuthentications, 80), 'PERMISSIVE')
    assert.equal(peerAuthenticationMode(workload, peerAuthentications, 80, { rootNamespace: 'root' }), 'STRICT')
  })

  test('in the root namespace itself a policy of a workload has no effect', () => {
    const { peerAuthentications } = decodeGood(
      mesh('PERMISSIVE') + peer('x', 'istio-system', '{ selector: { matchLabels: { app: web } }, mtls: { mode: STRICT } }'),
    )
    assert.equal(peerAuthenticationMode({ ...workload, namespace: 'istio-system' }, peerAuthentications, 80), 'PERMISSIVE')
  })
})

describe('the tokens of a workload', () => {
  const request = (name: string, namespace: string, spec: string) =>
    securityYaml('RequestAuthentication', name, spec, `, namespace: ${namespace}`)

  test('those of the namespace, of the mesh and of its own, by issuer', () => {
    const yaml =
      request('a', 'shop', '{ jwtRules: [{ issuer: z }] }') +
      request('b', 'istio-system', '{ jwtRules: [{ issuer: m }] }') +
      request('c', 'shop', '{ selector: { matchLabels: { app: web } }, jwtRules: [{ issuer: a }] }') +
      request('d', 'shop', '{ selector: { matchLabels: { app: x } }, jwtRules: [{ issuer: b }] }') +
      request('e', 'other', '{ jwtRules: [{ issuer: c }] }')
    const filter = requestAuthenticationFilter(workload, decodeGood(yaml).requestAuthentications)
    assert.deepEqual(
      filter?.providers.map(({ name, issuer }) => `${name} ${issuer}`),
      ['origins-0 a', 'origins-1 m', 'origins-2 z'],
    )
  })

  test('no filter without a rule', () => {
    const { requestAuthentications } = decodeGood(request('a', 'shop', '{}'))
    assert.equal(requestAuthenticationFilter(workload, requestAuthentications), undefined)
  })
})
