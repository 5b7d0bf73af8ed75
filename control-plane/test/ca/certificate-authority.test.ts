import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { ClockError, IssuanceLimitError } from '../../src/ca/certificate-authority.ts'
import { MemoryCaStore } from '../../src/ca/memory-ca-store.ts'
import * as x509 from '../../src/ca/x509.ts'
import { dayMs, hourMs, issueRequest, openAuthority, reviews } from '../support/certificates.ts'

/** Certificates have whole seconds. */
const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000

class RecordingStore extends MemoryCaStore {
  readonly lines: string[] = []

  override async appendLine(_log?: string, line = ''): Promise<void> {
    this.lines.push(line)
  }
}

test('the root is an authority with the ID of the trust domain, for ten years', async () => {
  const { authority, clock } = await openAuthority()
  const [pem = ''] = authority.bundle.roots
  const root = new X509Certificate(pem)
  assert.ok(root.ca && root.verify(root.publicKey))
  assert.equal(root.subjectAltName, 'URI:spiffe://mesh.test')
  assert.equal(root.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  assert.equal(root.validToDate.getTime(), wholeSeconds(clock.wallNow() + 3650 * dayMs))
  const usage = new x509.X509Certificate(pem).getExtension(x509.KeyUsagesExtension)
  assert.deepEqual([usage?.critical, usage?.usages], [true, x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign])
})

test('a leaf has exactly what X509-SVID wants of it and is signed by a root of the bundle', async () => {
  const { authority, clock } = await openAuthority()
  const { certificate, bundle, serial, notBeforeMs } = await authority.issue(issueRequest())
  const leaf = new X509Certificate(certificate)
  const root = new X509Certificate(bundle.roots[0] ?? '')
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey))
  assert.equal(leaf.serialNumber.toLowerCase(), serial)
  assert.equal(notBeforeMs, clock.wallNow() - 120_000)

  const parsed = new x509.X509Certificate(certificate)
  const names = parsed.getExtension(x509.SubjectAlternativeNameExtension)
  assert.equal(parsed.subject, '')
  assert.equal(names?.critical, true)
  assert.deepEqual(names?.names.toJSON(), [{ type: 'url', value: reviews }])
  const usage = parsed.getExtension(x509.KeyUsagesExtension)
  assert.deepEqual([usage?.critical, usage?.usages], [true, x509.KeyUsageFlags.digitalSignature])
  const purposes = [...(parsed.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])]
  assert.deepEqual(purposes, [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth])
  assert.equal(parsed.getExtension(x509.BasicConstraintsExtension)?.ca, false)
})

test('G4: ten years are clamped to 90 days, zero and less become 24 h, and no leaf outlives its root', async () => {
  const { authority, clock } = await openAuthority()
  const lifeOf = async (ttlMs: number) => (await authority.issue(issueRequest({ ttlMs }))).notAfterMs - clock.wallNow()
  assert.equal(await lifeOf(3650 * dayMs), 90 * dayMs)
  assert.equal(await lifeOf(Number.POSITIVE_INFINITY), 90 * dayMs)
  assert.equal(await lifeOf(0), dayMs)
  assert.equal(await lifeOf(-1), dayMs)
  assert.equal(await lifeOf(Number.NaN), dayMs)
  assert.equal(await lifeOf(hourMs), hourMs)

  const { authority: old, clock: oldClock } = await openAuthority({ rootLifetimeMs: 10 * hourMs })
  oldClock.advance(8 * hourMs)
  const { notAfterMs } = await old.issue(issueRequest())
  assert.equal(notAfterMs, old.rotation.signing.notAfterMs)
})

test('G8: serials are positive, have 126 random bits and do not repeat', async () => {
  const { authority } = await openAuthority()
  const serials = await Promise.all(Array.from({ length: 50 }, async () => (await authority.issue(issueRequest())).serial))
  assert.equal(new Set(serials).size, 50)
  for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f]{31}$/)
  // Each bit but the first two differs somewhere.
  const numbers = serials.map(serial => BigInt(`0x${serial}`))
  const everSet = numbers.reduce((bits, number) => bits | number)
  const alwaysSet = numbers.reduce((bits, number) => bits & number)
  assert.equal(everSet ^ alwaysSet, 2n ** 126n - 1n)
})

test('G9: nothing is issued while the clock is behind the last issuance, after a restart neither', async () => {
  const now = Date.now()
  const { authority, clock, store } = await openAuthority({ clock: new ManualClock(now) })
  clock.advance(hourMs)
  await authority.issue(issueRequest())
  const { authority: restarted } = await openAuthority({ clock: new ManualClock(now), store })
  await assert.rejects(restarted.issue(issueRequest()), ClockError)
  assert.throws(() => restarted.requireReady(), ClockError)
  const { authority: right } = await openAuthority({ clock: new ManualClock(now + hourMs), store })
  await right.issue(issueRequest())

  class JumpingClock extends ManualClock {
    offsetMs = 0
    override wallNow() {
      return super.wallNow() + this.offsetMs
    }
  }
  const jumping = new JumpingClock(now)
  const { authority: running } = await openAuthority({ clock: jumping })
  await running.issue(issueRequest())
  jumping.offsetMs = -1
  await assert.rejects(running.issue(issueRequest()), ClockError)
  jumping.offsetMs = 0
  await running.issue(issueRequest())
})

test('nothing is issued under an expired root', async () => {
  const { authority, clock } = await openAuthority({ rootLifetimeMs: hourMs })
  clock.advance(hourMs)
  await assert.rejects(authority.issue(issueRequest()), ClockError)
})

test('every issuance is in the audit log, with no key material', async () => {
  const store = new RecordingStore()
  const { authority, clock } = await openAuthority({ store })
  const { serial, notAfterMs } = await authority.issue(issueRequest({ method: 'service_account', peer: '10.0.0.7:4711' }))
  assert.deepEqual(
    store.lines.map(line => JSON.parse(line)),
    [
      {
        time: new Date(clock.wallNow()).toISOString(),
        spiffeId: reviews,
        serial,
        notAfter: new Date(notAfterMs).toISOString(),
        method: 'service_account',
        peer: '10.0.0.7:4711',
      },
    ],
  )
})

test('what cannot be written down is not issued', async () => {
  class FullStore extends MemoryCaStore {
    override async appendLine(): Promise<void> {
      throw new Error('no space left')
    }
  }
  const { authority } = await openAuthority({ store: new FullStore() })
  await assert.rejects(authority.issue(issueRequest()), /no space left/)
})

test('after a write that failed nothing is issued until the state is on the disk', async () => {
  class FillingStore extends MemoryCaStore {
    isFull = false
    written = 0
    override async writeDocument(name: string, document: unknown): Promise<void> {
      await new Promise(resolve => setImmediate(resolve))
      if (this.isFull) throw new Error('no space left')
      this.written++
      await super.writeDocument(name, document)
    }
  }
  const store = new FillingStore()
  const { authority, clock } = await openAuthority({ store })
  store.isFull = true
  // Two at once: the second one stands on what the first one could not write.
  const both = await Promise.allSettled([authority.issue(issueRequest()), authority.issue(issueRequest())])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await assert.rejects(authority.issue(issueRequest()), /no space left/)
  store.isFull = false
  const before = store.written
  const { notAfterMs } = await authority.issue(issueRequest())
  assert.equal(store.written, before + 1)
  const restarted = (await openAuthority({ store, clock })).authority
  assert.ok(restarted.rotation.signing.lastLeafNotAfterMs >= notAfterMs)
})

test('beyond the limit nothing is issued until time has passed', async () => {
  const { authority, clock } = await openAuthority({ issuancesPerSecond: 2 })
  await authority.issue(issueRequest())
  await authority.issue(issueRequest())
  await assert.rejects(authority.issue(issueRequest()), IssuanceLimitError)
  assert.throws(() => authority.requireReady(), IssuanceLimitError)
  clock.advance(500)
  authority.requireReady()
  await authority.issue(issueRequest())
})

test('identities of other trust domains, without a path or out of form are not issued', async () => {
  const { authority } = await openAuthority()
  for (const spiffeId of [
    'spiffe://other.test/ns/a/sa/b',
    'spiffe://mesh.test',
    'spiffe://mesh.test/',
    'spiffe://mesh.test/a/../b',
    'spiffe://mesh.test/a%2fb',
    'spiffe://Mesh.test/a',
    'spiffe://mesh.test:1/a',
    `spiffe://mesh.test/${'a'.repeat(2048)}`,
    'https://mesh.test/a',
  ])
    await assert.rejects(authority.issue(issueRequest({ spiffeId })), /is no identity of mesh\.test/, spiffeId)
})

test('an authority that was stored is the same after a restart, and only for its own trust domain', async () => {
  const { authority, store } = await openAuthority()
  const { authority: restarted } = await openAuthority({ store })
  assert.equal(restarted.pin, authority.pin)
  assert.deepEqual(restarted.bundle, authority.bundle)
  await assert.rejects(openAuthority({ store, trustDomain: 'other.test' }), /is that of mesh\.test, not of other\.test/)
  await assert.rejects(openAuthority({ trustDomain: 'Not A Domain' }), /not a trust domain/)
})

test('a stored authority that is damaged or lost its key is not founded anew', async () => {
  const { store, authority } = await openAuthority()
  await store.deleteKey(`root-${authority.pin}`)
  await assert.rejects(openAuthority({ store }), /key of the root .* is missing/)
  await store.writeDocument('ca', { version: 1 })
  await assert.rejects(openAuthority({ store }), /not readable/)
})

test('G6: a revoked serial stays revoked over a restart, in whatever case it was given', async () => {
  const { authority, store } = await openAuthority()
  const { serial } = await authority.issue(issueRequest())
  assert.equal(authority.isRevoked(serial), false)
  await authority.revoke(serial.toUpperCase())
  assert.equal(authority.isRevoked(serial), true)
  const { authority: restarted } = await openAuthority({ store })
  assert.equal(restarted.isRevoked(serial), true)
})
