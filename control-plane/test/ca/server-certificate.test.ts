import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerCertificate } from '../../src/ca/server-certificate.ts'
import { silentLogger } from '../../src/runtime.ts'
import { dayMs, hourMs, openAuthority } from '../support/certificates.ts'

const spiffeId = 'spiffe://mesh.test/ns/inmesh-system/sa/control-plane'

async function create() {
  const { authority, clock } = await openAuthority()
  const names = { spiffeId, dnsNames: ['localhost'], ipAddresses: [] }
  const made = await ServerCertificate.create({ authority, clock, logger: silentLogger, random: () => 0.5, ...names })
  const changed = () => new Promise<void>(resolve => made.onChange(resolve))
  return { made, authority, clock, changed }
}

test('the certificate of the control plane is renewed at half of its life, by the wall clock as well', async t => {
  const { made, clock, changed } = await create()
  t.after(() => made.close())
  const first = made.context.cert
  const renewed = changed()
  clock.advance(12 * hourMs)
  await renewed
  const second = made.context.cert
  assert.notEqual(second, first)

  const again = changed()
  clock.stepWall(13 * hourMs)
  clock.advance(60_000)
  await again
  assert.notEqual(made.context.cert, second)
})

test('a client does not count once its certificate has ended or was revoked', async t => {
  const { made, authority, clock } = await create()
  t.after(() => made.close())
  const identity = { spiffeId, serial: '0a', notBeforeMs: 0, notAfterMs: clock.wallNow() + dayMs }
  assert.equal(made.accepts(identity), true)
  await authority.revoke('0A')
  assert.equal(made.accepts(identity), false)
  assert.equal(made.accepts({ ...identity, serial: '0b' }), true)
  clock.stepWall(dayMs)
  assert.equal(made.accepts({ ...identity, serial: '0b' }), false)
})
