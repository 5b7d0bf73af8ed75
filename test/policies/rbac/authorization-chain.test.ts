import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  AuthorizationChain,
  type AuthorizationFilter,
  type CustomAuthorizer,
} from '../../../src/policies/rbac/authorization-chain.ts'
import type { RbacFilter } from '../../../src/policies/rbac/rbac-rules.ts'
import { inbound } from '../../support/inbound-attributes.ts'
import { anything, enforce, exact, path, policy, rules } from '../../support/rbac-rules.ts'

const a = inbound({ path: '/a' })
const allowA: AuthorizationFilter = { name: 'allow', rbac: enforce('ALLOW', policy(path(exact('/a')), anything, 'allow-a')) }
const denyA: AuthorizationFilter = { name: 'deny', rbac: enforce('DENY', policy(path(exact('/a')), anything, 'deny a')) }
const auditA: AuthorizationFilter = { name: 'audit', rbac: enforce('LOG', policy(path(exact('/a')), anything, 'audit-a')) }

/** A filter as Istio writes it for the action CUSTOM: shadow rules that say whom to ask about. */
const customA = (custom: CustomAuthorizer): AuthorizationFilter => ({
  name: 'custom',
  rbac: {
    rules: undefined,
    shadowRules: rules('DENY', policy(path(exact('/a')), anything, 'istio-ext-authz-a')),
    shadowRulesStatPrefix: 'istio_ext_authz_',
  },
  custom,
})

test('B2: DENY wins over ALLOW, in whatever order they come', async () => {
  for (const filters of [
    [allowA, denyA],
    [denyA, allowA],
    [auditA, allowA, denyA],
  ]) {
    assert.deepEqual(await new AuthorizationChain(filters).authorize(a), {
      allowed: false,
      status: 403,
      grpcStatus: 7,
      body: 'RBAC: access denied',
      filterName: 'deny',
      policyName: 'deny a',
      details: 'rbac_access_denied_matched_policy[deny_a]',
      error: undefined,
    })
  }
})

test('B3: with an ALLOW filter that does not match, the request is denied by no policy', async () => {
  const result = await new AuthorizationChain([denyA, allowA]).authorize(inbound({ path: '/b' }))
  assert.ok(!result.allowed)
  assert.deepEqual([result.filterName, result.policyName], ['allow', undefined])
  assert.equal(result.details, 'rbac_access_denied_matched_policy[none]')
})

test('without filters everything is allowed, at once and not by a promise', () => {
  const chain = new AuthorizationChain([])
  assert.ok(chain.isEmpty)
  assert.deepEqual(chain.authorize(a), { allowed: true })
})

test('B4: a filter that could not be read lets nobody in, CUSTOM or not', async () => {
  for (const filter of [
    { name: 'unread', rbac: undefined },
    { name: 'unread', rbac: undefined, custom: () => ({ allowed: true }) },
  ]) {
    assert.equal((await new AuthorizationChain([allowA, filter]).authorize(a)).allowed, false)
  }
})

describe('CUSTOM', () => {
  test('is asked first, and only about requests that its rules match', async () => {
    const asked: string[] = []
    const chain = new AuthorizationChain([
      denyA,
      customA(({ path }) => {
        asked.push(path)
        return { allowed: false, status: 401, body: 'who?' }
      }),
    ])
    const result = await chain.authorize(a)
    assert.ok(!result.allowed)
    assert.deepEqual([result.filterName, result.status, result.body, result.details], ['custom', 401, 'who?', 'ext_authz_denied'])
    assert.ok((await chain.authorize(inbound({ path: '/b' }))).allowed)
    assert.deepEqual(asked, ['/a'])
  })

  test('allows no more than that the others are heard', async () => {
    for (const custom of [() => ({ allowed: true }), async () => ({ allowed: true })]) {
      const result = await new AuthorizationChain([denyA, customA(custom)]).authorize(a)
      assert.ok(!result.allowed)
      assert.equal(result.filterName, 'deny')
      assert.ok((await new AuthorizationChain([allowA, customA(custom)]).authorize(a)).allowed)
    }
  })

  test('denies when it throws, rejects or talks nonsense', async () => {
    const nonsense: readonly CustomAuthorizer[] = [
      () => {
        throw new Error('down')
      },
      () => Promise.reject(new Error('down')),
      () => JSON.parse('{"allowed":"true"}'),
      () => JSON.parse('null'),
      () => Promise.resolve(JSON.parse('null')),
    ]
    for (const custom of nonsense) {
      assert.equal((await new AuthorizationChain([customA(custom)]).authorize(a)).allowed, false, String(custom))
    }
  })

  test('enforces the rules beside its shadow rules', async () => {
    const both = customA(() => ({ allowed: true }))
    const rbac: RbacFilter | undefined = both.rbac && { ...both.rbac, rules: rules('DENY', policy()) }
    assert.equal((await new AuthorizationChain([{ ...both, rbac }]).authorize(a)).allowed, false)
  })
})

test('AUDIT and dry runs are reported and refuse nothing', async () => {
  const seen: unknown[] = []
  const dry = {
    name: 'dry',
    rbac: { ...enforce('ALLOW', policy()), shadowRules: rules('DENY', policy(anything, anything, 'dry-deny')) },
  }
  const chain = new AuthorizationChain([dry, auditA], {
    audited: (filter, name) => seen.push([filter, name]),
    shadowed: (filter, { allowed, policyName }) => seen.push([filter, allowed, policyName]),
  })
  assert.ok((await chain.authorize(a)).allowed)
  assert.deepEqual(seen, [
    ['audit', 'audit-a'],
    ['dry', false, 'dry-deny'],
  ])
})
