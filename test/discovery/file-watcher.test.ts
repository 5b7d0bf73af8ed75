import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileProvider } from '../../src/discovery/file-watcher.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { type Issued, SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'

const authority = await SvidAuthority.create('td')
const other = await SvidAuthority.create('other')
const pem = (key: Issued['privateKey']) => String(key.export({ type: 'pkcs8', format: 'pem' }))

async function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-files-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const clock = new ManualClock(Date.now())
  const told: string[] = []
  const tell = (message: string) => void told.push(message)
  const runtime = { clock, random: () => 0.5, logger: { debug: tell, info: tell, warn: tell, error: tell } }
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 })
  const config = { certificate_file: join(folder, 'tls.crt'), private_key_file: join(folder, 'tls.key') }
  const open = (more: Readonly<Record<string, string>>) => {
    const provider = fileProvider('default', { ...config, ...more }, runtime)
    t.after(() => provider.close())
    return provider
  }
  return { folder, clock, told, put, open }
}

test('an identity is read, and read again; a torn pair leaves the last good one', async t => {
  const { clock, told, put, open, folder } = await setUp(t)
  const [first, second] = [await authority.issue('/a'), await authority.issue('/a')]
  put('tls.crt', String(first.certificate))
  put('tls.key', pem(first.privateKey))
  put('ca.crt', String(authority.root))
  const provider = open({ ca_certificate_file: join(folder, 'ca.crt'), refresh_interval: '60s' })
  await provider.ready()
  assert.equal(provider.current?.svid.spiffeId, 'spiffe://td/a')
  const before = provider.current
  let changes = 0
  provider.subscribe(() => changes++)
  put('tls.crt', String(second.certificate))
  clock.advance(60_000)
  assert.equal(provider.current, before)
  assert.match(told.at(-1) ?? '', /private key is not that of the certificate \(the last good one stays in use\)$/)
  put('tls.key', pem(second.privateKey))
  clock.advance(60_000)
  assert.equal(provider.current?.svid.certificateChain[0]?.serialNumber, second.certificate.serialNumber)
  clock.advance(60_000)
  assert.equal(changes, 1, 'what did not change is not told of')
})

test('a folder that is swapped by its link is noticed', async t => {
  const { clock, put, open, folder } = await setUp(t)
  const versions = [await authority.issue('/a'), await authority.issue('/a')]
  for (const [index, { certificate, privateKey }] of versions.entries()) {
    mkdirSync(join(folder, `v${index}`))
    put(join(`v${index}`, 'tls.crt'), String(certificate))
    put(join(`v${index}`, 'tls.key'), pem(privateKey))
  }
  put('ca.crt', String(authority.root))
  symlinkSync('v0', join(folder, '..data'))
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(folder, name))
  const provider = open({ ca_certificate_file: join(folder, 'ca.crt') })
  symlinkSync('v1', join(folder, '..next'))
  renameSync(join(folder, '..next'), join(folder, '..data'))
  clock.advance(600_000)
  assert.equal(provider.current?.svid.certificateChain[0]?.serialNumber, versions[1]?.certificate.serialNumber)
})

/** Waits for the event of a watched folder, and for what is done of it. */
async function noticed(clock: ManualClock, change: () => void) {
  change()
  // Beside those of the interval and of the alarm.
  await until(() => clock.pendingTimers === 3)
  clock.advance(100)
}

test('a folder that is replaced, and one that a link leads to, is followed without waiting for the interval', async t => {
  const { clock, put, open, folder } = await setUp(t)
  const serial = () => provider.current?.svid.certificateChain[0]?.serialNumber
  const write = async (where: string) => {
    const { certificate, privateKey } = await authority.issue('/a')
    mkdirSync(join(folder, where), { recursive: true })
    put(join(where, 'tls.crt'), String(certificate))
    put(join(where, 'tls.key'), pem(privateKey))
    return certificate.serialNumber
  }
  put('ca.crt', String(authority.root))
  const first = await write('here')
  const second = await write('next')
  const files = { certificate_file: join(folder, 'here', 'tls.crt'), private_key_file: join(folder, 'here', 'tls.key') }
  const provider = open({ ...files, ca_certificate_file: join(folder, 'ca.crt') })
  assert.equal(serial(), first)
  await noticed(clock, () => {
    renameSync(join(folder, 'here'), join(folder, 'old'))
    renameSync(join(folder, 'next'), join(folder, 'here'))
  })
  assert.equal(serial(), second)
  // What was put in its place is watched, and what was there is not.
  const third = await authority.issue('/a')
  await noticed(clock, () => {
    put('here/tls.crt', String(third.certificate))
    put('here/tls.key', pem(third.privateKey))
  })
  assert.equal(serial(), third.certificate.serialNumber)

  const fourth = await write('elsewhere')
  await noticed(clock, () => {
    for (const name of ['tls.crt', 'tls.key']) {
      symlinkSync(join(folder, 'elsewhere', name), join(folder, 'here', `${name}.new`))
      renameSync(join(folder, 'here', `${name}.new`), join(folder, 'here', name))
    }
  })
  assert.equal(serial(), fourth)
  const fifth = await authority.issue('/a')
  await noticed(clock, () => {
    put('elsewhere/tls.crt', String(fifth.certificate))
    put('elsewhere/tls.key', pem(fifth.privateKey))
  })
  assert.equal(serial(), fifth.certificate.serialNumber)
})

test('files that come after the process are read within a second, and a problem is told once', async t => {
  const { clock, told, put, open, folder } = await setUp(t)
  const late = join(folder, 'late')
  const files = { certificate_file: join(late, 'tls.crt'), private_key_file: join(late, 'tls.key') }
  const provider = open({ ...files, ca_certificate_file: join(late, 'ca.crt') })
  clock.advance(60_000)
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /ENOENT/)
  const { certificate, privateKey } = await authority.issue('/a')
  mkdirSync(late)
  put('late/tls.crt', String(certificate))
  put('late/tls.key', pem(privateKey))
  put('late/ca.crt', String(authority.root))
  clock.advance(1_000)
  assert.equal(provider.current?.svid.spiffeId, 'spiffe://td/a')
})

test('a file that cannot be read leaves the last good one, and is looked at again after ten seconds', async t => {
  const { clock, told, put, open, folder } = await setUp(t)
  const [first, second] = [await authority.issue('/a'), await authority.issue('/a')]
  put('tls.crt', String(first.certificate))
  put('tls.key', pem(first.privateKey))
  put('ca.crt', String(authority.root))
  const provider = open({ ca_certificate_file: join(folder, 'ca.crt') })
  rmSync(join(folder, 'tls.key'))
  // A link to itself can be read by nobody, as a file without permission can by all but root.
  symlinkSync('tls.key', join(folder, 'tls.key'))
  clock.advance(600_000)
  assert.match(told[0] ?? '', /ELOOP.*\(the last good one stays in use\)$/)
  rmSync(join(folder, 'tls.key'))
  put('tls.crt', String(second.certificate))
  put('tls.key', pem(second.privateKey))
  clock.advance(10_000)
  assert.equal(provider.current?.svid.certificateChain[0]?.serialNumber, second.certificate.serialNumber)
})

test('a key that cannot be read at the start is waited for', async t => {
  const { told, put, open, folder } = await setUp(t)
  put('tls.crt', String((await authority.issue('/a')).certificate))
  symlinkSync('tls.key', join(folder, 'tls.key'))
  const provider = open({ ca_certificate_file: join(folder, 'ca.crt') })
  assert.equal(provider.current, undefined)
  assert.match(told[0] ?? '', /ELOOP/)
})

test('a bundle that is half written does not shrink what is trusted', async t => {
  const { clock, told, put, open, folder } = await setUp(t)
  const { certificate, privateKey } = await authority.issue('/a')
  put('tls.crt', String(certificate))
  put('tls.key', pem(privateKey))
  const [own, more] = [String(authority.root), String(other.root)]
  put('ca.crt', own + more)
  const provider = open({ ca_certificate_file: join(folder, 'ca.crt') })
  const roots = () => provider.current?.bundles.get('td')?.authorities.length
  assert.equal(roots(), 2)
  for (const length of [5, 20, 300, more.length - 2]) {
    put('ca.crt', own + more.slice(0, length))
    clock.advance(600_000)
    assert.equal(roots(), 2, `${length} bytes of the second`)
  }
  assert.match(told[0] ?? '', /cut short \(the last good one stays in use\)$/)
  // A key beside the certificates, and remarks, are none of their business.
  put('ca.crt', `# the root -- of all\n${own}${pem(privateKey)}`)
  clock.advance(600_000)
  assert.equal(roots(), 1)
})

test('a map of bundles is read, each for its own domain', async t => {
  const { put, open, folder } = await setUp(t)
  const { certificate, privateKey } = await authority.issue('/a')
  put('tls.crt', String(certificate))
  put('tls.key', pem(privateKey))
  const key = ({ root }: SvidAuthority) => ({ kty: 'EC', use: 'x509-svid', x5c: [root.raw.toString('base64')] })
  const trust_domains = { td: { keys: [key(authority), { kty: 'RSA', use: 'jwt-svid' }] }, other: { keys: [key(other)] } }
  put('bundles.json', JSON.stringify({ trust_domains }))
  const provider = open({ spiffe_trust_bundle_map_file: join(folder, 'bundles.json') })
  await provider.ready()
  const bundles = provider.current?.bundles
  assert.deepEqual([...(bundles?.keys() ?? [])].sort(), ['other', 'td'])
  assert.deepEqual(bundles?.get('other')?.authorities.map(String), [String(other.root)])
})

test('H3: a key that everybody can read is warned of', async t => {
  const { told, put, open, folder } = await setUp(t)
  const { certificate, privateKey } = await authority.issue('/a')
  put('tls.crt', String(certificate))
  put('tls.key', pem(privateKey))
  chmodSync(join(folder, 'tls.key'), 0o644)
  put('ca.crt', String(authority.root))
  open({ ca_certificate_file: join(folder, 'ca.crt') })
  assert.match(told[0] ?? '', /tls\.key can be read by everybody/)
})

test('what is missing in the bootstrap is named', async t => {
  const { open } = await setUp(t)
  assert.throws(
    () => open({}),
    /certificate_providers\["default"\]\.config: ca_certificate_file: must be set, or spiffe_trust_bundle_map_file/,
  )
})
