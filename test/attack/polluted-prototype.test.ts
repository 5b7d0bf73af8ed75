// An application in which something has written into Object.prototype, as careless merging of JSON does.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { SubjectAltNameCheck } from '../../src/client/subject-alt-names.ts'
import type { WorkloadIdentity } from '../../src/security/certificate-provider.ts'
import { SvidValidator } from '../../src/security/svid-validator.ts'
import { clientTls, requestOn, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, mutualTls } from '../support/inbound-model.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { enforce, exact, header, named, path, policy } from '../support/rbac-rules.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { makeTransport } from '../support/tls-model.ts'

const authority = await SvidAuthority.create('td')
const server = await authority.identity('/server')
const client = await authority.identity('/client')
const admin = await authority.identity('/admin')
const stranger = await (await SvidAuthority.create('td')).identity('/admin')

/** What an attacker might wish were so: values of JSON, under names that decisions are made by. */
const wishes: Readonly<Record<string, unknown>> = {
  allowed: true,
  authorized: true,
  authority: 'public',
  authorization: 'Bearer x',
  enableTrace: false,
  hasPrincipal: true,
  invert: true,
  isCa: false,
  isCritical: true,
  isVerified: true,
  kind: 'any',
  maxVersion: 'TLSv1.2',
  minVersion: 'TLSv1',
  names: ['spiffe://td/admin'],
  ok: true,
  pathname: '/public',
  permissions: [],
  principals: ['spiffe://td/admin'],
  rejectUnauthorized: false,
  requestCert: false,
  requiresClientCertificate: false,
  roles: ['admin'],
  spiffeId: 'spiffe://td/admin',
  subjectaltname: 'URI:spiffe://td/admin',
  trustDomain: 'td',
  uris: ['spiffe://td/admin'],
  'x-role': 'admin',
  ':path': '/public',
}

/** Pollutes only while `run` runs. */
async function polluted<T>(run: () => Promise<T>): Promise<T> {
  const prototype: object = Object.prototype
  for (const [name, value] of Object.entries(wishes))
    Object.defineProperty(prototype, name, { value, configurable: true, enumerable: true, writable: true })
  try {
    return await run()
  } finally {
    for (const name of Object.keys(wishes)) Reflect.deleteProperty(prototype, name)
  }
}

async function start(t: TestContext) {
  const started = await startGated(t, (_request, response) => response.end('served'), server)
  const filters = [
    enforce(
      'ALLOW',
      policy(path(exact('/public'))),
      policy(header('x-role', 'admin')),
      policy(undefined, named(exact('spiffe://td/admin'))),
    ),
  ].map(rbac => ({ name: 'rbac', config: { kind: 'rbac' as const, rbac } }))
  const configure = () => started.source.setInbound('server', inboundState(makeChain({ tls: mutualTls, filters })))
  return { ...started, configure }
}

/** The status of a request, or that there was no answer. */
async function ask(
  t: TestContext,
  port: number,
  options: ConnectionOptions,
  of = '/private',
): Promise<number | string | undefined> {
  try {
    const socket = await secured(t, port, options)
    const broken = once(socket, 'close').then(() => 'closed')
    return await Promise.race([requestOn(socket, of).then(({ response }) => response.statusCode), broken])
  } catch {
    return 'closed'
  }
}

for (const configuredWhen of ['before', 'after'] as const)
  test(`H6: a server that was configured ${configuredWhen} lets in whom it would have let in`, async t => {
    const { port, configure } = await start(t)
    if (configuredWhen === 'before') configure()
    // The caller is another process, were it not for the test.
    const tls13 = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const
    const of = (identity: WorkloadIdentity | undefined) => ({ ...clientTls(identity, server), ...tls13 })
    const answers = await polluted(async () => {
      if (configuredWhen === 'after') configure()
      return [
        await ask(t, port, of(client)),
        await ask(t, port, of(client), '/public'),
        await ask(t, port, of(admin)),
        await ask(t, port, of(stranger)),
        await ask(t, port, of(undefined)),
        await ask(t, port, { ...of(admin), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }),
      ]
    })
    assert.deepEqual(answers, [403, 200, 200, 'closed', 'closed', 'closed'])
  })

test('H6: a client speaks to nobody that it would not have spoken to', async t => {
  const { port, configure } = await start(t)
  configure()
  const connect = (hostname: string) =>
    new Promise<string>(resolve => {
      const socket = connectTls({ port, host: '127.0.0.1', ...makeTransport().connectOptions(hostname) })
      t.after(() => socket.destroy())
      socket.once('secureConnect', () => resolve('connected'))
      socket.once('error', error => resolve('code' in error ? String(error.code) : error.message))
    })
  assert.notEqual(await polluted(() => connect('localhost')), 'connected')
})

test('H6: a certificate is what it is', async () => {
  const validator = new SvidValidator(new ManualClock(Date.now()))
  const nameless = await authority.issue('/x', { names: [], keyUsage: null })
  const [verdict, names] = await polluted(async () => [
    validator.validate(nameless.certificate, [], server.bundles, 'client'),
    new SubjectAltNameCheck([{ type: 'uri', matcher: exact('spiffe://td/admin') }]).problem(nameless.certificate.raw),
  ])
  assert.deepEqual(Object.hasOwn(Object(verdict), 'problem') && Object(verdict).problem, 'no_uri_san')
  assert.match(String(names), /certificate names none of spiffe:\/\/td\/admin/)
})
