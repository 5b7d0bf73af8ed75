import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createMesh, silentLogger } from '../../src/index.ts'
import type { AuditEvent, AuditLoggerFactory, AuditLogging } from '../../src/policies/rbac/audit-logger.ts'
import { registerAuditLogger } from '../../src/policies/rbac/audit-logger-registry.ts'
import type { RbacAction } from '../../src/policies/rbac/rbac-rules.ts'
import { plain, requestOn, startGated } from '../support/gated-server.ts'
import { unusedPort } from '../support/http-upstream.ts'
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

test('A59: a type that the application makes known is named by the configuration', async t => {
  const port = await unusedPort()
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-audit-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const typed = (type: string, more: object = {}) => ({ '@type': `type.googleapis.com/${type}`, ...more })
  const http = 'envoy.extensions.filters.http'
  const auditLogger = {
    name: 'own',
    typed_config: typed('xds.type.v3.TypedStruct', { type_url: 'type.googleapis.com/test.Own', value: { to: 'me' } }),
  }
  const policies = { all: { permissions: [{ any: true }], principals: [{ any: true }] } }
  const rules = {
    policies,
    audit_logging_options: { audit_condition: 'ON_ALLOW', logger_configs: [{ audit_logger: auditLogger }] },
  }
  const manager = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    http_filters: [
      { name: 'authz', typed_config: typed(`${http}.rbac.v3.RBAC`, { rules }) },
      { name: 'router', typed_config: typed(`${http}.router.v3.Router`) },
    ],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, non_forwarding_action: {} }] }],
    },
  })
  const listener = {
    name: `127.0.0.1:${port}`,
    traffic_direction: 'INBOUND',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  }
  const file = join(folder, 'mesh.json')
  writeFileSync(file, JSON.stringify({ listeners: [listener] }))
  const heard: string[] = []
  const own: AuditLoggerFactory = {
    type: 'test.Own',
    create: ({ to }) => ({ log: ({ rpcMethod, matchedRule }) => void heard.push(`${to}: ${rpcMethod} ${matchedRule}`) }),
  }
  const mesh = await createMesh({ staticConfig: file, auditLoggers: [own], env: {}, runtime: { logger: silentLogger } })
  const server = mesh.createServer((_request, response) => response.end('served'))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.close()
    await mesh.close()
  })
  assert.equal((await requestOn(await plain(t, port), '/a')).body, 'served')
  assert.deepEqual(heard, ['me: /a all'])
})
