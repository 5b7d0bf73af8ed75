import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { openCaStore } from '../../src/ca/ca-store.ts'
import { Passphrase, PassphraseError } from '../../src/ca/passphrase.ts'
import { isSealed, SealedKeyError } from '../../src/ca/sealed-key.ts'
import { issueRequest, openAuthority } from '../support/certificates.ts'

const text = 'correct horse battery staple'
const passphrase = new Passphrase(text)

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'inmesh-sealed-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

/** Opens the authority in a folder, and lets it go again. */
async function pinOf(data: string, given?: Passphrase): Promise<string> {
  const store = await openCaStore(data, given)
  try {
    const { authority } = await openAuthority({ store })
    await authority.issue(issueRequest())
    return authority.pin
  } finally {
    await store.close()
  }
}

async function keysIn(data: string): Promise<readonly string[]> {
  const files = (await readdir(join(data, 'ca'))).filter(file => file.endsWith('.key'))
  return Promise.all(files.map(file => readFile(join(data, 'ca', file), 'utf8')))
}

describe('G7: keys at rest, with a passphrase', () => {
  test('are encrypted, and opened again by it', async t => {
    const data = await folder(t)
    const pin = await pinOf(data, passphrase)
    const [key = '', ...others] = await keysIn(data)
    assert.equal(others.length, 0)
    assert.ok(isSealed(key))
    assert.throws(() => createPrivateKey(key))
    assert.equal(await pinOf(data, passphrase), pin)
  })

  test('are refused without it and with another, and nothing is founded or changed in their place', async t => {
    const data = await folder(t)
    const pin = await pinOf(data, passphrase)
    const before = await keysIn(data)
    await assert.rejects(
      pinOf(data),
      error => error instanceof SealedKeyError && /root-.*\.key is encrypted.*INMESH_CA_PASSPHRASE_FILE/.test(error.message),
    )
    await assert.rejects(
      pinOf(data, new Passphrase(`${text}!`)),
      error =>
        error instanceof SealedKeyError && /root-.*\.key cannot be decrypted: the passphrase is another/.test(error.message),
    )
    assert.deepEqual(await keysIn(data), before)
    assert.equal(await pinOf(data, passphrase), pin)
  })

  test('that were not encrypted are so from the next start on, also one that nothing uses', async t => {
    const data = await folder(t)
    const pin = await pinOf(data)
    const [plain = ''] = await keysIn(data)
    const unused = join(data, 'ca', 'root-unused.key')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFile(unused, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    assert.equal(await pinOf(data, passphrase), pin)
    const keys = await keysIn(data)
    assert.deepEqual(keys.map(isSealed), [true, true])
    assert.equal((await stat(unused)).mode & 0o777, 0o600)
    const secret = plain.split('\n')[1] ?? assert.fail('no key')
    for (const file of await readdir(join(data, 'ca')))
      assert.ok(!(await readFile(join(data, 'ca', file), 'latin1')).includes(secret), file)
  })

  test('never have two passphrases', async t => {
    const data = await folder(t)
    await pinOf(data, passphrase)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const plain = privateKey.export({ type: 'pkcs8', format: 'pem' })
    for (const name of ['a', 'z']) await writeFile(join(data, 'ca', `${name}.key`), plain, { mode: 0o600 })
    await assert.rejects(openCaStore(data, new Passphrase(`${text}!`)), SealedKeyError)
    assert.deepEqual((await keysIn(data)).map(isSealed).sort(), [false, false, true])
  })

  test('of the next root are encrypted too', async t => {
    const data = await folder(t)
    const store = await openCaStore(data, passphrase)
    t.after(() => store.close())
    const { authority } = await openAuthority({ store })
    authority.requestRotation()
    await authority.advanceRotation(() => false, 0)
    assert.deepEqual((await keysIn(data)).map(isSealed), [true, true])
  })

  test('are opened by openssl, and what openssl has encrypted is opened here', { skip: !hasOpenssl() }, async t => {
    const data = await folder(t)
    const pin = await pinOf(data, passphrase)
    const [before, after] = [join(data, 'before'), join(data, 'after')]
    const next = 'another long passphrase'
    await writeFile(before, `${text}\n`)
    await writeFile(after, `${next}\n`)
    const key = join(data, 'ca', `root-${pin}.key`)
    const args = ['pkcs8', '-topk8', '-in', key, '-passin', `file:${before}`, '-passout', `file:${after}`, '-out', `${key}.new`]
    execFileSync('openssl', args, { stdio: 'ignore' })
    execFileSync('mv', [`${key}.new`, key])
    await chmod(key, 0o600)
    assert.equal(await pinOf(data, await Passphrase.read(after)), pin)
    await assert.rejects(pinOf(data, passphrase), SealedKeyError)
  })
})

describe('a passphrase', () => {
  test('is what is in its file, without the end of the line', async t => {
    const path = join(await folder(t), 'passphrase')
    for (const [content, expected] of [
      [text, text],
      [`${text}\n`, text],
      [`${text}\r\n`, text],
      [`${text} \n\n`, `${text} \n`],
    ] as const) {
      await writeFile(path, content)
      assert.equal((await Passphrase.read(path)).reveal(), expected)
    }
  })

  test('that is short, or is not there, is none; and is not told', async t => {
    const path = join(await folder(t), 'passphrase')
    await assert.rejects(Passphrase.read(path), error => error instanceof PassphraseError && error.message.includes(path))
    await writeFile(path, 'only-15-letters\n')
    await assert.rejects(
      Passphrase.read(path),
      error => error instanceof PassphraseError && /16/.test(error.message) && !error.message.includes('only-15'),
    )
    await rm(path)
    await mkdir(path)
    await assert.rejects(Passphrase.read(path), PassphraseError)
  })

  test('is in nothing that is printed', () => {
    for (const printed of [String(passphrase), JSON.stringify({ passphrase }), inspect({ passphrase }, { showHidden: true })]) {
      assert.match(printed, /redacted/)
      assert.ok(!printed.includes('horse'), printed)
    }
  })
})

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
