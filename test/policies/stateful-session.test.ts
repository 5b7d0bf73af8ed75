import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CompiledStatefulSession, type StatefulSession } from '../../src/policies/stateful-session.ts'

const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64')
const cookie = (more: Partial<Extract<StatefulSession['state'], { kind: 'cookie' }>> = {}) =>
  new CompiledStatefulSession({ state: { kind: 'cookie', name: 'at', path: '', ttlMs: 0, ...more }, isStrict: false })
const request = (headers: Readonly<Record<string, string>>, path = '/') => ({ path, header: (name: string) => headers[name] })
const served = { address: '10.0.0.1:80', cluster: 'c' }

describe('a session', () => {
  test('A55, A60: is read as gRPC writes it, with the cluster', () => {
    const sent = request({ cookie: `x=1; at="${base64('10.0.0.1:80;blue')}"` })
    assert.deepEqual(cookie().target(sent, 0), { address: '10.0.0.1:80', cluster: 'blue' })
  })

  test('A61: of several addresses of an endpoint the first counts', () => {
    const sent = request({ cookie: `at=${base64('[fd00::1]:80,10.0.0.1:80;c')}` })
    assert.deepEqual(cookie().target(sent, 0), { address: '[fd00::1]:80', cluster: 'c' })
  })

  test('envoy#44111: is read as Envoy writes it, whatever a monotonic clock says of the end', () => {
    assert.deepEqual(cookie().target(request({ cookie: `at=${base64('10.0.0.1:80')}` }), 0), {
      address: '10.0.0.1:80',
      cluster: '',
    })
    // address: "10.0.0.1:80", expires: 300
    const sent = request({ cookie: `at=${base64('\x0a\x0b10.0.0.1:80\x10\xac\x02')}` })
    assert.deepEqual(cookie().target(sent, 1_700_000_000_000), { address: '10.0.0.1:80', cluster: '' })
  })

  test('ends by the wall clock', () => {
    const session = cookie({ ttlMs: 300_000 })
    const now = 1_700_000_000_000
    const [line = ''] = session.answer(request({}), null, served, false, now)?.value.split(';') ?? []
    assert.deepEqual(session.target(request({ cookie: line }), now + 300_000), { address: '10.0.0.1:80', cluster: '' })
    assert.equal(session.target(request({ cookie: line }), now + 300_001), null)
  })

  test('that cannot be read names nobody', () => {
    for (const value of [
      '',
      'x',
      '%',
      base64('nobody'),
      base64('\x0a\x7fshort'),
      base64('10.0.0.1:80:90;c'),
      base64('\x0a\x01x'),
    ])
      assert.equal(cookie().target(request({ cookie: `at=${value}` }), 0), null, value)
    assert.equal(cookie().target(request({}), 0), null)
  })

  test('is told in the words of the protocol, and only to who does not know', () => {
    assert.deepEqual(cookie({ ttlMs: 5000, path: '/' }).answer(request({}), null, served, true, 0), {
      name: 'set-cookie',
      value: `at="${base64('10.0.0.1:80;c')}"; Max-Age=5; Path=/; HttpOnly`,
    })
    assert.equal(
      cookie({ ttlMs: 300_000 }).answer(request({}), null, served, false, 0)?.value,
      `at="${base64('\x0a\x0b10.0.0.1:80\x10\xac\x02')}"; Max-Age=300; HttpOnly`,
    )
    assert.equal(cookie().answer(request({}), served, served, true, 0), null)
    assert.notEqual(cookie().answer(request({}), { ...served, cluster: 'other' }, served, true, 0), null)
    assert.equal(cookie().answer(request({}), { ...served, cluster: '' }, served, false, 0), null)
  })

  test('is for the paths of its cookie', () => {
    const session = cookie({ path: '/shop' })
    const named = { cookie: `at=${base64('10.0.0.1:80')}` }
    for (const path of ['/shop', '/shop/1', '/shop?x']) assert.notEqual(session.target(request(named, path), 0), null, path)
    for (const path of ['/', '/shopping', '/x/shop']) {
      assert.equal(session.target(request(named, path), 0), null, path)
      assert.equal(session.answer(request({}, path), null, served, false, 0), null, path)
    }
  })

  test('by a header is the address alone', () => {
    const session = new CompiledStatefulSession({ state: { kind: 'header', name: 'x-at' }, isStrict: false })
    assert.deepEqual(session.answer(request({}), null, served, false, 0), { name: 'x-at', value: base64('10.0.0.1:80') })
    assert.deepEqual(session.target(request({ 'x-at': base64('10.0.0.1:80') }), 0)?.address, '10.0.0.1:80')
  })
})
