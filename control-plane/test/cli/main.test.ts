import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseJoinToken } from 'inmesh/security/join-token'
import { caPassphrase } from '../../src/cli/ca-passphrase.ts'
import { main } from '../../src/cli/main.ts'
import { startControlPlane } from '../../src/control-plane.ts'
import { silentLogger } from '../../src/runtime.ts'

const good = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: shop }
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1 }]
`
const bad = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: [shop.test]
  http:
  - route:
    - { destination: { host: shop.test }, weight: heavy }
`

async function folder(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'inmesh-cli-'))
  t.after(() => rm(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return path
}

async function run(...argv: readonly string[]) {
  const out: string[] = []
  const err: string[] = []
  const code = await main(argv, { out: line => out.push(line), err: line => err.push(line) })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

test('validate ends with 0 for a good folder and with 65 and the place of each error for a bad one', async t => {
  assert.deepEqual(await run('validate', await folder(t, { 'a.yaml': good })), { code: 0, out: '1 documents are valid', err: '' })
  const path = await folder(t, { 'a.yaml': good, 'b.yaml': bad, 'c.yaml': 'a: [' })
  const { code, err, out } = await run('validate', path)
  assert.equal(code, 65)
  assert.equal(out, '')
  assert.match(err, /b\.yaml:8:\d+: VirtualService default\/shop: spec\.http\[0\]\.route\[0\]\.weight: /)
  assert.match(err, /c\.yaml:1:\d+: /)
})

test('validate -o json prints the problems as one object', async t => {
  const { code, out } = await run('validate', '-o', 'json', await folder(t, { 'b.yaml': bad }))
  assert.equal(code, 65)
  const { valid, problems } = JSON.parse(out)
  assert.equal(valid, false)
  const { severity, line, field } = problems.find((problem: { severity: string }) => problem.severity === 'error')
  assert.deepEqual([severity, line, field], ['error', 8, 'spec.http[0].route[0].weight'])
})

test('wrong usage ends with 64 and a folder that is not there with 1', async () => {
  for (const argv of [
    [],
    ['bogus'],
    ['validate'],
    ['validate', 'a', 'b'],
    ['validate', 'a', '-o', 'xml'],
    ['serve'],
    ['serve', '--no'],
  ]) {
    const { code, err } = await run(...argv)
    assert.equal(code, 64, argv.join(' '))
    assert.match(err, /usage:/)
  }
  assert.equal((await run('serve', '--config', 'x', '--xds-port', '80x')).code, 64)
  for (const seconds of ['soon', '', '-1', '1e9'])
    assert.equal((await run('serve', '--config', 'x', `--load-report-interval=${seconds}`)).code, 64)
  for (const flags of [
    ['--trust-domain', 'Not.One'],
    ['--trust-domain', 'mesh.test', '--secure-port', 'x'],
    ['--trust-domain', 'mesh.test', '--token-issuer', 'https://issuer'],
  ])
    assert.equal((await run('serve', '--config', 'x', ...flags)).code, 64, flags.join(' '))
  for (const argv of [
    ['token', 'create', '--data', 'x'],
    ['token', 'create', '--service', 'a'],
    ['token', 'create', '--data', 'x', '--service', 'a', '--identity', 'b'],
    ['token', 'create', '--data', 'x', '--service', 'a', '--ttl', '10'],
    ['token', 'burn', '--data', 'x', '--service', 'a'],
    ['ca', '--data', 'x'],
    ['ca', 'status'],
    ['ca', 'revoke', '--data', 'x'],
    ['ca', 'burn', '--data', 'x'],
  ])
    assert.equal((await run(...argv)).code, 64, argv.join(' '))
  assert.equal((await run('validate', '/nowhere/at/all')).code, 1)
})

test('help is no error', async () => {
  const { code, out } = await run('--help')
  assert.equal(code, 0)
  assert.match(out, /inmesh serve/)
})

test('serve refuses a folder with errors and an address that others reach', async t => {
  const wrong = await run('serve', '--config', await folder(t, { 'b.yaml': bad }), '--xds-port', '0')
  assert.equal(wrong.code, 65)
  assert.match(wrong.err, /b\.yaml:8:/)
  const open = await run('serve', '--config', await folder(t, { 'a.yaml': good }), '--host', '0.0.0.0', '--xds-port', '0')
  assert.equal(open.code, 1)
  assert.match(open.err, /loopback/)
})

test('token and ca say that no control plane runs on the folder', async t => {
  const { code, err } = await run('token', 'create', '--data', await folder(t, {}), '--service', 'reviews')
  assert.equal(code, 1)
  assert.match(err, /no control plane/)
})

test('token create and ca talk to the control plane that runs on the folder', async t => {
  const data = await folder(t, {})
  const config = await folder(t, { 'a.yaml': good })
  const controlPlane = await startControlPlane({
    config,
    data,
    xdsPort: 0,
    secure: { trustDomain: 'mesh.test', port: 0, bundlePort: 0 },
  })
  t.after(() => controlPlane.close())
  const { authority, tokens } = controlPlane.secure ?? assert.fail()

  const made = await run('token', 'create', '--data', data, '--service', 'reviews', '--namespace', 'shop', '--ttl', '1h30m')
  assert.equal(made.code, 0)
  assert.match(made.err, /^for spiffe:\/\/mesh\.test\/ns\/shop\/sa\/reviews, once, until \d{4}-/)
  assert.equal(tokens.verify(made.out)?.spiffeId, 'spiffe://mesh.test/ns/shop/sa/reviews')
  assert.equal(parseJoinToken(made.out)?.pin, authority.pin)

  for (const flags of [
    ['--identity', 'spiffe://other.test/ns/a/sa/b'],
    ['--identity', 'spiffe://mesh.test/ns/inmesh-system/sa/control-plane'],
    ['--service', '../x'],
    ['--service', 'x', '--ttl', '48h'],
  ]) {
    const refused = await run('token', 'create', '--data', data, ...flags)
    assert.deepEqual([refused.code, refused.out], [1, ''], flags.join(' '))
  }

  const status = JSON.parse((await run('ca', 'status', '--data', data)).out)
  assert.deepEqual([status.trustDomain, status.bundleVersion, status.roots.length, status.unusedTokens], ['mesh.test', 1, 1, 1])
  const rotated = JSON.parse((await run('ca', 'rotate', '--data', data)).out)
  assert.deepEqual(
    rotated.roots.map(({ role }: { role: string }) => role),
    ['signing', 'next'],
  )
  assert.equal((await run('ca', 'revoke', '--data', data, '--serial', '0A:1b')).code, 0)
  assert.ok(authority.isRevoked('0a1b'))
  assert.equal((await run('ca', 'revoke', '--data', data, '--serial', 'zz')).code, 1)
})

test('serve follows the folder, refuses a bad change by file, line and field, and drains at SIGTERM', async t => {
  const path = await folder(t, { 'a.yaml': good })
  const bin = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const args = ['--conditions=@inmesh/source', bin, 'serve', '--config', path, '--xds-port', '0']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let log = ''
  const seen = async (pattern: RegExp) => {
    for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
      log += chunk
      if (pattern.test(log)) return
    }
    assert.fail(`ended without ${pattern}:\n${log}`)
  }
  await seen(/revision 1: 1 documents[\s\S]*serving xDS on 127\.0\.0\.1:\d+/)
  await writeFile(join(path, 'b.yaml'), bad)
  await seen(/change is refused[\s\S]*b\.yaml:8:\d+: VirtualService default\/shop: spec\.http\[0\]\.route\[0\]\.weight/)
  await writeFile(join(path, 'b.yaml'), bad.replace('weight: heavy', 'weight: 1'))
  await seen(/revision 2: 2 documents/)
  child.kill('SIGTERM')
  const code = await new Promise(resolve => child.on('exit', resolve))
  assert.equal(code, 0)
})

test('serve encrypts the keys of the authority by the file that it is given, and says what is wrong with it', async t => {
  const [config, data, elsewhere] = [await folder(t, { 'a.yaml': good }), await folder(t, {}), await folder(t, {})]
  const file = join(elsewhere, 'passphrase')
  await writeFile(file, 'correct horse battery staple\n', { mode: 0o600 })
  const ports = ['--xds-port', '0', '--secure-port', '0', '--bundle-port', '0']
  const args = ['--config', config, '--trust-domain', 'mesh.test', ...ports]
  const bin = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@inmesh/source', bin, 'serve', ...args, '--data', data], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, INMESH_CA_PASSPHRASE_FILE: file },
  })
  t.after(() => child.kill('SIGKILL'))
  let log = ''
  for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
    log += chunk
    if (log.includes('serving xDS and certificates')) break
  }
  assert.doesNotMatch(log, /horse|WARN/i)
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
  const [key = ''] = (await readdir(join(data, 'ca'))).filter(each => each.endsWith('.key'))
  assert.match(await readFile(join(data, 'ca', key), 'utf8'), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/)

  const failure = async (...more: readonly string[]) => {
    const { code, err } = await run('serve', ...args, ...more)
    return `${code} ${err.split('\n').filter(line => line.startsWith('inmesh: '))}`
  }
  assert.match(await failure('--data', data), /^1 inmesh: .*\.key is encrypted, and there is no passphrase/)
  const other = join(elsewhere, 'other')
  await writeFile(other, 'another long passphrase')
  assert.match(await failure('--data', data, '--ca-passphrase-file', other), /^1 inmesh: .*\.key cannot be decrypted/)
  assert.match(await failure('--data', data, '--ca-passphrase-file', `${file}x`), /^1 inmesh: the passphrase cannot be read/)
  assert.match(await failure('--ca-passphrase-file', file), /^64 inmesh: a passphrase is for the keys in --data/)
  const beside = join(data, 'passphrase')
  await writeFile(beside, 'correct horse battery staple')
  assert.match(await failure('--data', data, '--ca-passphrase-file', beside), /^1 inmesh: .* beside the keys/)
})

test('a passphrase that others can read is warned of', async t => {
  const [data, elsewhere] = [await folder(t, {}), await folder(t, {})]
  const file = join(elsewhere, 'passphrase')
  await writeFile(file, 'correct horse battery staple', { mode: 0o600 })
  const warned: string[] = []
  const logger = { ...silentLogger, warn: (message: string) => warned.push(message) }
  const read = () => caPassphrase({ file: undefined, data, env: { INMESH_CA_PASSPHRASE_FILE: file }, logger })
  await read()
  assert.deepEqual(warned, [])
  await chmod(file, 0o644)
  assert.notEqual(await read(), undefined)
  assert.deepEqual(warned, [`${file} can be read by others than its owner`])
})
