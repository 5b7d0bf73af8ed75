import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileProvider } from '../../src/discovery/file-watcher.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { type Issued, SvidAuthority } from '../support/svid-fixtures.ts'

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
