import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { InboundAttributes } from '../../../src/policies/rbac/inbound-attributes.ts'
import { RbacEngine } from '../../../src/policies/rbac/rbac-engine.ts'
import type { Permission, Principal } from '../../../src/policies/rbac/rbac-rules.ts'
import { claimsOf, inbound } from '../../support/inbound-attributes.ts'
import { anything, claim, enforce, exact, named, not, path, policy, prefix, regex, rules } from '../../support/rbac-rules.ts'

const allows = (permission: Permission, request: InboundAttributes) =>
  new RbacEngine(enforce('ALLOW', policy(permission))).evaluate(request).allowed
const admits = (principal: Principal, request: InboundAttributes) =>
  new RbacEngine(enforce('ALLOW', policy(anything, principal))).evaluate(request).allowed

describe('actions', () => {
  test('B3: with ALLOW, a request that no policy matches is denied', () => {
    const engine = new RbacEngine(enforce('ALLOW', policy(path(exact('/a')))))
    assert.deepEqual(engine.evaluate(inbound({ path: '/b' })), {
      allowed: false,
      policyName: undefined,
      error: undefined,
      shadow: undefined,
    })
    assert.ok(engine.evaluate(inbound({ path: '/a' })).allowed)
  })

  test('with DENY only a request that a policy matches is denied', () => {
    const engine = new RbacEngine(enforce('DENY', policy(path(exact('/a')))))
    assert.deepEqual([engine.evaluate(inbound({ path: '/a' })).allowed, engine.evaluate(inbound()).allowed], [false, true])
  })

  test('LOG denies nothing and names what matched', () => {
    const engine = new RbacEngine(enforce('LOG', policy(path(exact('/a')))))
    const { allowed, policyName } = engine.evaluate(inbound({ path: '/a' }))
    assert.deepEqual([allowed, policyName], [true, 'policy'])
    assert.equal(engine.evaluate(inbound()).policyName, undefined)
  })

  test('no rules enforce nothing, rules without policies let nobody in', () => {
    const none = new RbacEngine({ rules: undefined, shadowRules: undefined, shadowRulesStatPrefix: '' })
    assert.ok(none.evaluate(inbound()).allowed)
    assert.ok(!new RbacEngine(enforce('ALLOW')).evaluate(inbound()).allowed)
    assert.ok(new RbacEngine(enforce('DENY')).evaluate(inbound()).allowed)
  })

  test('a policy needs one of its permissions and one of its principals; the first by name is reported', () => {
    const two = {
      name: 'b',
      permissions: [path(exact('/a')), path(exact('/b'))],
      principals: [named(exact('spiffe://x/a')), named(exact('spiffe://x/b'))],
    }
    const engine = new RbacEngine(enforce('ALLOW', two, policy(path(exact('/b')), anything, 'a')))
    const decide = (to: string, principal: string) => engine.evaluate(inbound({ path: to, peer: { principal } })).policyName
    assert.deepEqual(
      [decide('/a', 'spiffe://x/b'), decide('/a', 'spiffe://x/c'), decide('/b', 'spiffe://x/b'), decide('/c', 'spiffe://x/a')],
      ['b', undefined, 'a', undefined],
    )
  })

  test('shadow rules are evaluated and never enforced', () => {
    const filter = { ...enforce('ALLOW', policy()), shadowRules: rules('DENY', policy(anything, anything, 'dry')) }
    const { allowed, policyName, shadow } = new RbacEngine(filter).evaluate(inbound())
    assert.deepEqual([allowed, policyName, shadow?.allowed, shadow?.policyName], [true, 'policy', false, 'dry'])
    const alone = new RbacEngine({ ...filter, rules: undefined }).evaluate(inbound())
    assert.deepEqual([alone.allowed, alone.shadow?.allowed], [true, false])
  })

  test('B22: what throws is denied, and LOG only says so', () => {
    const broken = Object.defineProperty({ ...inbound() }, 'path', {
      get: () => {
        throw new Error('broken')
      },
    })
    for (const [action, allowed] of [
      ['ALLOW', false],
      ['DENY', false],
      ['LOG', true],
    ] as const) {
      const decision = new RbacEngine(enforce(action, policy(path(exact('/'))))).evaluate(broken)
      assert.deepEqual([decision.allowed, String(decision.error)], [allowed, 'Error: broken'], action)
    }
    const shadow = new RbacEngine({ ...enforce('ALLOW', policy()), shadowRules: rules('DENY', policy(path(exact('/')))) })
    assert.ok(shadow.evaluate(broken).allowed)
  })
})

describe('principals', () => {
  const nobody = inbound({ peer: { principal: undefined } })

  test('B5: a peer without verified certificate is no principal, not even any', () => {
    for (const name of [regex('.*'), regex('.+'), exact(''), prefix('')]) {
      assert.ok(!admits(named(name), nobody), JSON.stringify(name))
    }
    assert.ok(!admits({ kind: 'authenticated', name: undefined }, nobody))
    assert.ok(admits({ kind: 'authenticated', name: undefined }, inbound()))
    assert.ok(admits(named(regex('.+')), inbound()))
    assert.ok(admits(anything, nobody), 'any includes whoever is not authenticated')
    assert.ok(admits(not(named(exact('spiffe://x/y'))), nobody))
  })

  test('A41: any of the names that count lets in, and every name keeps out', () => {
    const peer = { isSecure: true, principals: ['spiffe://td/a', 'spiffe://td/b'] }
    const request = inbound({ peer: { ...peer, names: [...peer.principals, 'b.test', 'CN=b,O=shop'] } })
    const keepsOut = (principal: Principal, of: InboundAttributes) =>
      !new RbacEngine(enforce('DENY', policy(anything, principal))).evaluate(of).allowed
    assert.ok(admits(named(exact('spiffe://td/b')), request))
    assert.ok(!admits(named(exact('b.test')), request), 'with a URI the DNS names do not count')
    for (const name of request.peer.names) assert.ok(keepsOut(named(exact(name)), request), name)
    assert.ok(!admits(not(named(exact('b.test'))), request))
    assert.ok(!keepsOut(named(exact('c.test')), request))
  })

  test('A41: over TLS a peer without certificate is the empty name to who keeps it out', () => {
    const keepsOut = (principal: Principal, isSecure: boolean) =>
      !new RbacEngine(enforce('DENY', policy(anything, principal))).evaluate(inbound({ peer: { isSecure } })).allowed
    for (const principal of [named(regex('.*')), named(exact('')), { kind: 'authenticated', name: undefined } as const])
      assert.deepEqual([keepsOut(principal, true), keepsOut(principal, false)], [true, false], JSON.stringify(principal))
    assert.ok(!keepsOut(named(exact('spiffe://td/a')), true))
    assert.ok(!admits({ kind: 'authenticated', name: undefined }, inbound({ peer: { isSecure: true } })))
  })

  test('a principal is compared as a whole', () => {
    const web = named(exact('spiffe://cluster.local/ns/shop/sa/web'))
    assert.ok(admits(web, inbound()))
    for (const principal of [
      'spiffe://cluster.local/ns/shop/sa/web2',
      'spiffe://CLUSTER.local/ns/shop/sa/web',
      'cluster.local/ns/shop/sa/web',
    ]) {
      assert.ok(!admits(web, inbound({ peer: { principal } })), principal)
    }
  })

  test('B19: the remote address is that of the socket, whatever X-Forwarded-For says', () => {
    const inside: Principal = { kind: 'remote-ip', range: { address: '10.0.0.0', prefixLength: 8 } }
    const spoof = ['x-forwarded-for', '10.0.0.1', 'x-real-ip', '10.0.0.1', 'forwarded', 'for=10.0.0.1']
    assert.ok(!admits(inside, inbound({ headers: spoof, peer: { address: '192.0.2.1' } })))
    assert.ok(admits(inside, inbound()))
  })

  test('an address that is not known opens nothing', () => {
    const inside: Principal = { kind: 'remote-ip', range: { address: '10.0.0.0', prefixLength: 8 } }
    const unix = inbound({ peer: { address: '' } })
    assert.ok(!admits(inside, unix))
    assert.ok(!admits(not(inside), unix))
    assert.ok(!new RbacEngine(enforce('DENY', policy(anything, inside))).evaluate(unix).allowed)
  })
})

test('addresses: prefixes, families and IPv4 within IPv6', () => {
  const cases: readonly [string, number, string, boolean][] = [
    ['10.1.2.3', 8, '10.255.0.1', true],
    ['10.0.0.0', 8, '11.0.0.1', false],
    ['10.0.0.0', 8, '::ffff:10.0.0.1', true],
    ['10.0.0.1', 32, '10.0.0.1', true],
    ['10.0.0.1', 32, '10.0.0.2', false],
    ['0.0.0.0', 0, '198.51.100.7', true],
    ['0.0.0.0', 0, 'fd00::1', false],
    ['::', 0, 'fd00::1', true],
    ['::', 0, '10.0.0.1', false],
    ['::', 0, '::ffff:10.0.0.1', false],
    ['fd00::', 9, 'fd7f::1', true],
    ['fd00::', 9, 'fd80::1', false],
    ['fe80::', 10, 'fe80::1%eth0', true],
    ['fd00::12', 128, 'fd00:0::12', true],
    ['fd00::12', 128, 'fd00::13', false],
  ]
  for (const [address, prefixLength, peer, expected] of cases) {
    const range = { address, prefixLength }
    const request = inbound({ peer: { address: peer }, destination: { address: peer, port: 1 } })
    assert.equal(admits({ kind: 'remote-ip', range }, request), expected, `${address}/${prefixLength} ${peer}`)
    assert.equal(allows({ kind: 'destination-ip', range }, request), expected, `${address}/${prefixLength} ${peer}`)
  }
})

describe('permissions', () => {
  test('B15: a gRPC method is its exact path', () => {
    const method = path(exact('/shop.Cart/Add'))
    assert.ok(allows(method, inbound({ method: 'POST', path: '/shop.Cart/Add' })))
    for (const other of [
      'shop.Cart/Add',
      '//shop.Cart/Add',
      '/shop.Cart/Add/',
      '/shop.Cart/Add/x',
      '/shop%2ECart/Add',
      '/shop.cart/Add',
      '/',
    ]) {
      assert.ok(!allows(method, inbound({ method: 'POST', path: other })), other)
    }
  })

  test('a path is compared without its query', () => {
    assert.ok(allows(path(exact('/a')), inbound({ path: '/a', query: '?b' })))
    assert.ok(!allows(path(exact('/a?b')), inbound({ path: '/a', query: '?b' })))
  })

  test('B20: a regex runs in linear time', () => {
    const evil = path(regex('(a+)+b'))
    const long = `/${'a'.repeat(50_000)}`
    assert.ok(!allows(evil, inbound({ path: long })))
    assert.ok(allows(path(regex('/(a+)+')), inbound({ path: long })))
  })

  test('a port is in a half-open range', () => {
    const range: Permission = { kind: 'destination-port', start: 80, end: 90 }
    const at = (port: number) => allows(range, inbound({ destination: { address: '10.0.0.2', port } }))
    assert.deepEqual([79, 80, 89, 90].map(at), [false, true, true, false])
  })

  test('the server name is empty without one, which a matcher may ask for', () => {
    const sni = (value: string): Permission => ({ kind: 'requested-server-name', matcher: exact(value) })
    assert.ok(allows(sni(''), inbound()))
    assert.ok(allows(sni('a.test'), inbound({ requestedServerName: 'a.test' })))
    assert.ok(!allows(sni('a.test'), inbound()))
  })

  test('a path template', () => {
    const template: Permission = { kind: 'uri-template', template: '/users/*/**' }
    assert.deepEqual(
      ['/users/7/orders', '/users/7/', '/users/', '/users//x'].map(each => allows(template, inbound({ path: each }))),
      [true, true, false, false],
    )
  })

  test('sets and negations', () => {
    const a = path(prefix('/a'))
    const b = path(regex('.*b'))
    const cases: readonly [Permission, readonly boolean[]][] = [
      [{ kind: 'and', rules: [a, b] }, [true, false, false, false]],
      [{ kind: 'or', rules: [a, b] }, [true, true, true, false]],
      [not({ kind: 'and', rules: [a, b] } as const), [false, true, true, true]],
      [not(not(a)), [true, true, false, false]],
      [not(anything), [false, false, false, false]],
    ]
    for (const [permission, expected] of cases) {
      assert.deepEqual(
        ['/ab', '/a', '/b', '/c'].map(each => allows(permission, inbound({ path: each }))),
        expected,
        JSON.stringify(permission),
      )
    }
  })
})

describe('claims', () => {
  const token = claimsOf({
    iss: 'https://a',
    sub: 'me',
    aud: ['x', 'y'],
    groups: { inner: ['dev'] },
    level: 3,
    admin: true,
    none: null,
  })
  const string = (value: string) => ({ kind: 'string', matcher: exact(value) }) as const
  const cases: readonly [string, Principal, boolean][] = [
    ['a string', claim(['iss'], string('https://a')), true],
    ['another string', claim(['iss'], string('https://a.evil')), false],
    ['an element of a list', claim(['aud'], { kind: 'one-of', matcher: string('y') }), true],
    ['a list is no string', claim(['aud'], string('y')), false],
    ['a string is no list', claim(['sub'], { kind: 'one-of', matcher: string('me') }), false],
    ['either', claim(['sub'], { kind: 'or', matchers: [{ kind: 'one-of', matcher: string('me') }, string('me')] }), true],
    ['nested', claim(['groups', 'inner'], { kind: 'one-of', matcher: string('dev') }), true],
    ['a key with dots is one key', claim(['groups.inner'], { kind: 'present', present: true }), false],
    ['a number', claim(['level'], { kind: 'number', value: 3 }), true],
    ['a range', claim(['level'], { kind: 'number-range', start: 1, end: 3 }), false],
    ['a boolean', claim(['admin'], { kind: 'boolean', value: true }), true],
    ['a boolean is no string', claim(['admin'], string('true')), false],
    ['null', claim(['none'], { kind: 'null' }), true],
    ['what is absent is not null', claim(['absent'], { kind: 'null' }), false],
    ['absence', claim(['absent'], { kind: 'present', present: false }), true],
    ['inverted', claim(['iss'], string('b'), true), true],
    ['what every object inherits', claim(['constructor'], { kind: 'present', present: true }), false],
    ['the prototype', claim(['__proto__'], { kind: 'present', present: true }), false],
  ]
  for (const [what, principal, expected] of cases) {
    test(`${what}: ${expected}`, () => assert.equal(admits(principal, inbound({ claims: token })), expected))
  }

  test('without a token no claim is there, nor metadata of another filter ever', () => {
    const present = { kind: 'present', present: true } as const
    assert.ok(!admits(claim(['iss'], present), inbound()))
    const other: Principal = {
      kind: 'metadata',
      matcher: { filter: 'a.b', path: ['payload', 'iss'], value: present, invert: false },
    }
    assert.ok(!admits(other, inbound({ claims: token })))
    const unpaid: Principal = {
      kind: 'metadata',
      matcher: { filter: 'envoy.filters.http.jwt_authn', path: ['iss'], value: present, invert: false },
    }
    assert.ok(!admits(unpaid, inbound({ claims: token })))
  })
})
