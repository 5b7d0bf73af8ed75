import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { AuditEvent, AuditLogging } from '../../src/policies/rbac/audit-logger.ts'
import { registerAuditLogger } from '../../src/policies/rbac/audit-logger-registry.ts'
import type { RbacAction } from '../../src/policies/rbac/rbac-rules.ts'
import { plain, requestOn, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain } from '../support/inbound-model.ts'
import { anything, enforce, path, policy, prefix } from '../support/rbac-rules.ts'

const events: AuditEvent[] = []
registerAuditLogger({
  type: 'test.Audit',
  create: ({ fails }) => ({
    log(event) {
      events.push(event)
      if (fails === true) throw new Error('the disk is full')
    },
  }),
})

/** A server whose paths under `/open` may be called, and whose decisions are audited. */
async function serve(t: TestContext, audit: AuditLogging, action: RbacAction = 'ALLOW') {
  const world = await startGated(t, (_request, response) => response.end('served'), undefined)
  const filter = enforce(action, policy(path(prefix('/open')), anything, 'open'))
  const rules = filter.rules && { ...filter.rules, audit }
  const chain = makeChain({ filters: [{ name: 'authz', config: { kind: 'rbac', rbac: { ...filter, rules } } }] })
  world.source.setInbound('server', inboundState(chain))
  const get = async (target: string) => (await requestOn(await plain(t, world.port), target)).response.statusCode
  return { ...world, get }
}

const logger = (config = {}) => ({ type: 'test.Audit', config })

describe('A59: audit loggers of a server', () => {
  test('hear of decisions before the application has answered', async t => {
    const { get } = await serve(t, { condition: 'ON_DENY_AND_ALLOW', loggers: [logger()] })
    assert.deepEqual([await get('/open/a?q=1'), await get('/shut')], [200, 403])
    assert.deepEqual(events.splice(0), [
      { rpcMethod: '/open/a', principal: '', policyName: 'authz', matchedRule: 'open', authorized: true },
      { rpcMethod: '/shut', principal: '', policyName: 'authz', matchedRule: '', authorized: false },
    ])
  })

  test('hear of nothing that does not meet the condition', async t => {
    const { get } = await serve(t, { condition: 'ON_DENY', loggers: [logger()] })
    assert.equal(await get('/open'), 200)
    assert.deepEqual(events.splice(0), [])
  })

  test('hear of nothing where nothing is decided (A41)', async t => {
    const { get } = await serve(t, { condition: 'ON_DENY_AND_ALLOW', loggers: [logger()] }, 'LOG')
    assert.equal(await get('/open'), 200)
    assert.deepEqual(events.splice(0), [])
  })

  test('change nothing when they fail, and the operator is told', async t => {
    const { get, told } = await serve(t, { condition: 'ON_ALLOW', loggers: [logger({ fails: true })] })
    assert.equal(await get('/open'), 200)
    assert.equal(events.splice(0).length, 1)
    assert.ok(told.includes('an audit logger of authz failed: the disk is full'), told.join('\n'))
  })

  test('that nobody makes any more let nobody in', async t => {
    const { get } = await serve(t, { condition: 'ON_ALLOW', loggers: [{ type: 'test.Gone', config: {} }] })
    assert.equal(await get('/open'), 503)
  })
})
