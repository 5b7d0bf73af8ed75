import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type Configuration, DiscoveryService } from '@inmesh/control-plane'
import { AuthoritySigner } from '../../src/discovery/authority-signer.ts'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import { parseJoinToken } from '../../src/security/join-token.ts'
import { RenewedCertificateProvider } from '../../src/security/renewed-certificate-provider.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

const spiffeId = 'spiffe://mesh.test/ns/default/sa/reviews'

const nothing: Configuration = {
  viewOf: () => '',
  resourcesOf: () => undefined,
  setWorkloads() {},
  onChange() {},
  close() {},
}

async function start(t: TestContext, trustDomain = 'mesh.test', defaultTtlMs = 86_400_000) {
  const service = await DiscoveryService.start(nothing, {
    runtime: { clock: systemClock, logger: silentLogger },
    xdsPort: 0,
    secure: { trustDomain, port: 0, bundlePort: 0, defaultTtlMs },
  })
  t.after(() => service.close())
  const secure = service.secure ?? assert.fail('not secure')
  const token = async (id = spiffeId, pin = secure.authority.pin) => {
    const made = await secure.tokens.create(id, pin)
    return parseJoinToken(made.bearer) ?? assert.fail('no token')
  }
  return { secure, token }
}

async function provider(t: TestContext, target: string, token: NonNullable<ReturnType<typeof parseJoinToken>>) {
  const clock = new ManualClock(Date.now())
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  const logger = { debug: tell, info: tell, warn: tell, error: tell }
  const signer = new AuthoritySigner({ target, credentials: { kind: 'join-token', token } })
  const made = new RenewedCertificateProvider({ signer, runtime: { clock, random: () => 0.5, logger } })
  t.after(() => made.close())
  return { made, clock, told }
}

test('a join token makes an identity, which is renewed by itself at half of its life', async t => {
  const { secure, token } = await start(t)
  const { made, clock } = await provider(t, secure.address, await token())
  await made.ready()
  const first = made.current ?? assert.fail('no identity')
  assert.equal(first.svid.spiffeId, spiffeId)
  assert.deepEqual([...first.bundles.keys()], ['mesh.test'])
  const renewed = new Promise(resolve => made.subscribe(resolve))
  const [leaf] = first.svid.certificateChain
  clock.advance((Date.parse(leaf?.validTo ?? '') - clock.wallNow()) / 2)
  assert.equal(await renewed, made.current)
  assert.equal(made.current?.svid.spiffeId, spiffeId)
  assert.notEqual(made.current?.svid.certificateChain[0]?.serialNumber, leaf?.serialNumber)
})

test('a certificate of a few seconds, dated back by minutes, is told of when it was not renewed, and not before', async t => {
  const { secure, token } = await start(t, 'mesh.test', 20_000)
  const { made, clock, told } = await provider(t, secure.address, await token())
  await made.ready()
  assert.equal(told.length, 0)
  await secure.close()
  // It ends at the second, and so up to one earlier than 20 s from now.
  clock.advance(14_000)
  assert.deepEqual(
    told.filter(line => line.includes('renewed')),
    [],
  )
  clock.advance(3_000)
  assert.deepEqual(
    told.filter(line => line.includes('renewed')),
    ['the certificate of this workload was not renewed: a quarter left'],
  )
})

test('a certificate whose half of life has passed while the machine slept is renewed within a minute, and the alarm knows too', async t => {
  const { secure, token } = await start(t)
  const { made, clock, told } = await provider(t, secure.address, await token())
  await made.ready()
  const renewed = new Promise(resolve => made.subscribe(resolve))
  clock.stepWall(19 * 3_600_000)
  clock.advance(60_000)
  assert.deepEqual(told, ['the certificate of this workload was not renewed: a quarter left'])
  // The control plane has not slept, and what it signs is good for less than a day from here.
  await renewed
})

test('H1: the key is in nothing that is printed', async t => {
  const { secure, token } = await start(t)
  const { made } = await provider(t, secure.address, await token())
  await made.ready()
  const pem = String(made.current?.svid.privateKey.export({ type: 'pkcs8', format: 'pem' })).split('\n')[1] ?? assert.fail()
  for (const text of [JSON.stringify(made.current), inspect(made.current, { depth: 9 }), inspect(made, { depth: 9 })])
    assert.ok(!text.includes(pem))
})

test('a token is not sent to a control plane with another root', async t => {
  const [real, other] = [await start(t), await start(t)]
  const { made } = await provider(t, other.secure.address, await real.token())
  await assert.rejects(made.ready(), /has not the root whose fingerprint is in the join token/)
  assert.equal(made.current, undefined)
})

test('a used token gives nothing more, and that is final', async t => {
  const { secure, token } = await start(t)
  const once = await token()
  const first = await provider(t, secure.address, once)
  await first.made.ready()
  const second = await provider(t, secure.address, once)
  await assert.rejects(second.made.ready(), /request authentication failure.*a join token is good once/)
})

test('who cannot renew, because its certificate was revoked or has ended, is told that a new token is needed', async t => {
  const { secure, token } = await start(t)
  const { made, clock, told } = await provider(t, secure.address, await token())
  await made.ready()
  const before = made.current
  const [leaf] = before?.svid.certificateChain ?? []
  await secure.authority.revoke(leaf?.serialNumber ?? '')
  clock.advance((Date.parse(leaf?.validTo ?? '') - clock.wallNow()) / 2)
  await until(() => told.some(message => /was revoked, and nothing but a start with a new join token/.test(message)))
  assert.equal(made.current, before)
})

test('an authority that cannot be reached is asked again until it is there', async t => {
  const { secure, token } = await start(t)
  const answer = await token()
  const signer = new AuthoritySigner({ target: secure.address, credentials: { kind: 'join-token', token: answer } })
  let failures = 0
  const flaky = {
    async sign(...args: Parameters<typeof signer.sign>) {
      if (failures++ < 2) throw new Error('connect ECONNREFUSED')
      return signer.sign(...args)
    },
    close() {},
  }
  const told: string[] = []
  const logger = { ...silentLogger, warn: (message: string) => void told.push(message) }
  const made = new RenewedCertificateProvider({
    signer: flaky,
    runtime: { clock: systemClock, random: Math.random, logger },
    backoff: { minTimeout: 1, maxTimeout: 1, factor: 1 },
  })
  t.after(() => made.close())
  await made.ready()
  assert.equal(made.current?.svid.spiffeId, spiffeId)
  assert.deepEqual(told, ['no certificate: connect ECONNREFUSED', 'no certificate: connect ECONNREFUSED'])
})

test('an authority that never answers is asked again', async t => {
  const { secure, token } = await start(t)
  const signer = new AuthoritySigner({ target: secure.address, credentials: { kind: 'join-token', token: await token() } })
  const signals: AbortSignal[] = []
  let isAsked: () => void = () => {}
  const silent = {
    sign(...args: Parameters<typeof signer.sign>): ReturnType<typeof signer.sign> {
      signals.push(args[2])
      isAsked()
      return signals.length === 1 ? new Promise(() => {}) : signer.sign(...args)
    },
    close() {},
  }
  const told: string[] = []
  const clock = new ManualClock(Date.now())
  const logger = { ...silentLogger, warn: (message: string) => void told.push(message) }
  const backoff = { minTimeout: 1, maxTimeout: 1, factor: 1 }
  const asked = new Promise<void>(resolve => {
    isAsked = resolve
  })
  const made = new RenewedCertificateProvider({ signer: silent, runtime: { clock, random: () => 0.5, logger }, backoff })
  t.after(() => made.close())
  await asked
  clock.advance(30_000)
  await made.ready()
  assert.deepEqual(told, ['no certificate: no answer within 30000 ms'])
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false],
  )
})

test('a connection on which an authority says nothing is given up with the request', async t => {
  const accepted: Socket[] = []
  const server = createServer(socket => void accepted.push(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { token } = await start(t)
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const signer = new AuthoritySigner({ target, credentials: { kind: 'join-token', token: await token() } })
  for (const end of [(controller: AbortController) => controller.abort(new Error('enough')), () => signer.close()]) {
    const controller = new AbortController()
    const connected = once(server, 'connection')
    const signed = signer.sign('', undefined, controller.signal)
    await connected
    end(controller)
    await assert.rejects(signed, /127\.0\.0\.1:\d+: (enough|the connection was closed)/)
  }
  for (const socket of accepted) socket.destroy()
})

test('A39: a certificate for somebody else is refused, and the last good one kept', async t => {
  const { secure, token } = await start(t)
  const mine = new AuthoritySigner({ target: secure.address, credentials: { kind: 'join-token', token: await token() } })
  const theirs = new AuthoritySigner({
    target: secure.address,
    credentials: { kind: 'join-token', token: await token('spiffe://mesh.test/ns/default/sa/admin') },
  })
  let calls = 0
  const signer = {
    sign: (...args: Parameters<typeof mine.sign>) =>
      calls++ === 0 ? mine.sign(...args) : theirs.sign(args[0], undefined, args[2]),
    close() {},
  }
  const clock = new ManualClock(Date.now())
  let warned: (message: string) => void = () => {}
  const warning = new Promise<string>(resolve => {
    warned = resolve
  })
  const made = new RenewedCertificateProvider({
    signer,
    runtime: { clock, random: () => 0.5, logger: { ...silentLogger, warn: message => warned(message) } },
  })
  t.after(() => made.close())
  await made.ready()
  const before = made.current
  const [leaf] = before?.svid.certificateChain ?? []
  clock.advance((Date.parse(leaf?.validTo ?? '') - clock.wallNow()) / 2)
  assert.match(await warning, /it is for spiffe:\/\/mesh\.test\/ns\/default\/sa\/admin, and this is spiffe:\/\/mesh\.test/)
  assert.equal(made.current, before)
})
