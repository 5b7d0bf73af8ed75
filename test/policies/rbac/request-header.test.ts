import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { InboundAttributes } from '../../../src/policies/rbac/inbound-attributes.ts'
import { RbacEngine } from '../../../src/policies/rbac/rbac-engine.ts'
import type { SharedRule } from '../../../src/policies/rbac/rbac-rules.ts'
import { inbound } from '../../support/inbound-attributes.ts'
import { enforce, header, not, policy, prefix, regex } from '../../support/rbac-rules.ts'

const allowed = (rule: SharedRule | ReturnType<typeof not<SharedRule>>, request: InboundAttributes) =>
  new RbacEngine(enforce('ALLOW', policy(rule))).evaluate(request).allowed
const denied = (rule: SharedRule | ReturnType<typeof not<SharedRule>>, request: InboundAttributes) =>
  !new RbacEngine(enforce('DENY', policy(rule))).evaluate(request).allowed
const roles = (...values: readonly string[]) => inbound({ headers: values.flatMap(value => ['x-role', value]) })
const admin = header('x-role', 'admin')

describe('B12: a header with several values', () => {
  test('DENY sees each value, each element of a line, and all of them joined', () => {
    for (const request of [
      roles('user', 'admin'),
      roles('admin', 'user'),
      roles('user,admin'),
      roles('user , admin'),
      roles('admin'),
    ]) {
      assert.ok(denied(admin, request), request.headers.join())
    }
    assert.ok(denied(header('x-role', 'user,admin'), roles('user', 'admin')), 'as gRFC A41 joins them')
    assert.ok(denied(header('x-role', 'user,admin'), roles('user,admin')), 'as it was sent')
    assert.ok(!denied(admin, roles('user', 'administrator')))
  })

  test('ALLOW needs every value to be one it wants', () => {
    assert.ok(allowed(admin, roles('admin')))
    assert.ok(allowed(admin, roles('admin', 'admin')))
    for (const request of [roles('user', 'admin'), roles('admin', 'user'), roles('admin,user')]) {
      assert.ok(!allowed(admin, request), request.headers.join())
    }
    assert.ok(!allowed(header('x-role', prefix('adm')), roles('admin', 'root')))
  })

  test('under a negation the other side is the safe one', () => {
    assert.ok(!allowed(not(admin), roles('user', 'admin')), 'ALLOW whoever is not admin')
    assert.ok(!allowed(not(admin), roles('user,admin')))
    assert.ok(allowed(not(admin), roles('user', 'guest')))
    assert.ok(denied(not(admin), roles('admin', 'user')), 'DENY whoever is not admin')
    assert.ok(!denied(not(admin), roles('admin')))
  })

  test('an inverted matcher is a negation too', () => {
    const inverted = header('x-role', 'admin', { invert: true })
    assert.ok(!allowed(inverted, roles('user', 'admin')))
    assert.ok(allowed(inverted, roles('user', 'guest')))
    assert.ok(denied(inverted, roles('admin', 'user')))
    assert.ok(!denied(inverted, roles('admin', 'admin')))
  })

  test('a comma is a part of values that are no lists', () => {
    const agent = header('user-agent', 'like Gecko)')
    assert.ok(!denied(agent, inbound({ headers: ['user-agent', 'Mozilla/5.0 (KHTML, like Gecko)'] })))
    const cookie = header('cookie', 'a=1; b=2')
    assert.ok(denied(cookie, inbound({ headers: ['cookie', 'a=1', 'cookie', 'b=2'] })), 'joined as RFC 9113 §8.2.3 does')
  })
})

describe('B6: a header that is absent', () => {
  test('matches no value matcher, inverted or not', () => {
    for (const invert of [false, true]) {
      const rule = header('x-role', 'admin', { invert })
      assert.ok(!allowed(rule, inbound()))
      assert.ok(!denied(rule, inbound()))
    }
  })

  test('is what a presence matcher may ask for', () => {
    const absent = (more: object) => header('x-role', '', { match: { kind: 'present', present: true }, ...more })
    assert.deepEqual([allowed(absent({}), inbound()), allowed(absent({}), roles('a'))], [false, true])
    assert.deepEqual([allowed(absent({ invert: true }), inbound()), allowed(absent({ invert: true }), roles('a'))], [true, false])
  })

  test('is empty where the matcher says so', () => {
    assert.ok(allowed(header('x-role', '', { treatMissingAsEmpty: true }), inbound()))
    assert.ok(allowed(header('x-role', 'admin', { treatMissingAsEmpty: true, invert: true }), inbound()))
  })
})

test('B13: names are compared as they are, so that an underscore is no dash', () => {
  assert.ok(allowed(admin, inbound({ headers: ['x-role', 'admin'] })))
  for (const name of ['x_role', 'x-role ', 'x-roles', ':x-role', '']) {
    assert.ok(!allowed(admin, inbound({ headers: [name, 'admin'] })), JSON.stringify(name))
  }
  assert.ok(!allowed(admin, inbound({ headers: ['y', 'x-role', 'admin', 'z'] })), 'a value is no name')
})

describe('pseudo headers', () => {
  test('B18: a method is compared with its case, and HEAD is not GET', () => {
    const get = header(':method', 'GET')
    assert.deepEqual(
      ['GET', 'get', 'HEAD', 'POST', 'GETX'].map(method => allowed(get, inbound({ method }))),
      [true, false, false, false, false],
    )
  })

  test('B17: a header that overrides the method is only a header', () => {
    const request = inbound({ method: 'GET', headers: ['x-http-method-override', 'POST', ':method', 'POST'] })
    assert.ok(!allowed(header(':method', 'POST'), request))
  })

  test('A41: host and :authority are one', () => {
    const request = inbound({ authority: 'a.test', headers: ['host', 'b.test'] })
    for (const name of ['host', ':authority']) {
      assert.deepEqual([allowed(header(name, 'a.test'), request), allowed(header(name, 'b.test'), request)], [true, false])
    }
  })

  test('the path has its query', () => {
    assert.ok(allowed(header(':path', '/a?b=1,2'), inbound({ path: '/a', query: '?b=1,2' })))
    assert.ok(!allowed(header(':path', '/a'), inbound({ path: '/a', query: '?b' })))
    assert.ok(!denied(header(':path', '2'), inbound({ path: '/a', query: '?b=1,2' })), 'a path is no list')
  })

  test('a name that no request has is absent', () => {
    assert.ok(!allowed(header(':protocol', regex('.*')), inbound({ headers: [':protocol', 'websocket'] })))
  })
})

test('A41: what belongs to the connection is absent', () => {
  for (const name of ['te', 'connection', 'transfer-encoding']) {
    assert.ok(!allowed(header(name, regex('.*')), inbound({ headers: [name, 'trailers'] })), name)
    const present = header(name, '', { match: { kind: 'present', present: true } })
    assert.ok(!allowed(present, inbound({ headers: [name, 'trailers'] })), name)
  }
})
