import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditCondition, AuditEvent } from '../../../src/policies/rbac/audit-logger.ts'
import { registerAuditLogger } from '../../../src/policies/rbac/audit-logger-registry.ts'
import { AuditTrail } from '../../../src/policies/rbac/audit-trail.ts'
import { RbacEngine } from '../../../src/policies/rbac/rbac-engine.ts'
import { StdoutAuditLogger } from '../../../src/policies/rbac/stdout-audit-logger.ts'
import { inbound } from '../../support/inbound-attributes.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { anything, enforce, exact, path, policy } from '../../support/rbac-rules.ts'

const events: AuditEvent[] = []
registerAuditLogger({ type: 'test.Recorder', create: () => ({ log: event => void events.push(event) }) })
registerAuditLogger({
  type: 'test.Broken',
  create: ({ text }) => ({
    log() {
      throw new Error(String(text))
    },
  }),
})

const recorder = { type: 'test.Recorder', config: {} }

/** What is heard of a request that is denied, and of one that is allowed. */
function heard(condition: AuditCondition): string[] {
  const trail = new AuditTrail('authz', { condition, loggers: [recorder] })
  const engine = new RbacEngine(enforce('ALLOW', policy(path(exact('/a.B/C')), anything, 'p')))
  for (const request of [inbound({ path: '/other' }), inbound({ path: '/a.B/C' })])
    assert.equal(trail.record(engine.evaluate(request), request), undefined)
  return events.splice(0).map(({ rpcMethod, matchedRule, authorized }) => `${rpcMethod} ${matchedRule || '-'} ${authorized}`)
}

test('A59: what is heard of depends on the decision', () => {
  const [denied, allowed] = ['/other - false', '/a.B/C p true']
  assert.deepEqual(heard('NONE'), [])
  assert.deepEqual(heard('ON_DENY'), [denied])
  assert.deepEqual(heard('ON_ALLOW'), [allowed])
  assert.deepEqual(heard('ON_DENY_AND_ALLOW'), [denied, allowed])
})

test('A59: decisions are audited, and not actions', () => {
  const engine = new RbacEngine(enforce('DENY', policy(path(exact('/a.B/C')), anything, 'p')))
  const trail = new AuditTrail('authz', { condition: 'ON_DENY', loggers: [recorder] })
  const request = inbound({ path: '/a.B/C', peer: { principal: 'spiffe://mesh.test/a', address: '10.0.0.1', port: 1 } })
  trail.record(engine.evaluate(request), request)
  assert.deepEqual(events.splice(0), [
    {
      rpcMethod: '/a.B/C',
      principal: 'spiffe://mesh.test/a',
      policyName: 'authz',
      matchedRule: 'p',
      authorized: false,
    },
  ])
})

test('a logger that throws keeps the others from nothing, and is told of', () => {
  const broken = (text: string) => ({ type: 'test.Broken', config: { text } })
  const trail = new AuditTrail('authz', { condition: 'ON_ALLOW', loggers: [broken('first'), broken('second'), recorder] })
  assert.equal(trail.record({ allowed: true, policyName: undefined, error: undefined }, inbound({})), 'first')
  assert.equal(events.splice(0).length, 1)
})

test('a logger of a type that nobody makes is an error', () => {
  const make = () => new AuditTrail('authz', { condition: 'ON_ALLOW', loggers: [{ type: 'test.None', config: {} }] })
  assert.throws(make, { message: 'no audit logger of the type "test.None" is registered' })
})

test('A59: the logger that is built in writes lines of JSON', () => {
  const lines: string[] = []
  const logger = new StdoutAuditLogger(new ManualClock(Date.UTC(2006, 0, 2, 15, 4, 5, 999)), { write: line => lines.push(line) })
  logger.log({
    rpcMethod: '/pkg.Service/Foo',
    principal: 'spiffe://foo/user1',
    policyName: 'p',
    matchedRule: 'admin',
    authorized: true,
  })
  assert.deepEqual(lines, [
    '{"grpc_audit_log":{"timestamp":"2006-01-02T15:04:05.999Z","rpc_method":"/pkg.Service/Foo","principal":"spiffe://foo/user1","policy_name":"p","matched_rule":"admin","authorized":true}}\n',
  ])
})
