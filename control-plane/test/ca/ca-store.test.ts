import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type CaStore, openCaStore } from '../../src/ca/ca-store.ts'
import { LooseFileModeError } from '../../src/ca/private-files.ts'
import { SigningRoot } from '../../src/ca/signing-root.ts'
import { issueRequest, openAuthority } from '../support/certificates.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'inmesh-ca-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function fileStore(t: TestContext, data: string): Promise<CaStore> {
  const store = await openCaStore(data)
  t.after(() => store.close())
  return store
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

test('G7: the folder has mode 0700, every file in it 0600, and no temporary file is left', async t => {
  const data = await folder(t)
  const { authority } = await openAuthority({ store: await fileStore(t, data) })
  await authority.issue(issueRequest())
  assert.equal(await modeOf(join(data, 'ca')), 0o700)
  const files = await readdir(join(data, 'ca'))
  assert.deepEqual(files.sort(), ['ca.json', 'issuance.jsonl', 'lock.db', `root-${authority.pin}.key`].sort())
  for (const file of files) assert.equal(await modeOf(join(data, 'ca', file)), 0o600, file)
})

test('G7: a key or folder that others can read, and a linked key, are refused', async t => {
  const data = await folder(t)
  const store = await openCaStore(data)
  const { authority } = await openAuthority({ store })
  const key = join(data, 'ca', `root-${authority.pin}.key`)
  await chmod(key, 0o640)
  await assert.rejects(openAuthority({ store }), error => error instanceof LooseFileModeError && /0640/.test(error.message))
  await rm(key)
  await symlink('/dev/null', key)
  await assert.rejects(openAuthority({ store }), LooseFileModeError)
  await store.close()
  await chmod(join(data, 'ca'), 0o750)
  await assert.rejects(openCaStore(data), LooseFileModeError)
})

test('G7: the key is in one file, and in nothing that is printed', async t => {
  const data = await folder(t)
  const { authority } = await openAuthority({ store: await fileStore(t, data) })
  const issued = await authority.issue(issueRequest())
  const pem = await readFile(join(data, 'ca', `root-${authority.pin}.key`), 'utf8')
  const root = SigningRoot.restore(authority.bundle.roots[0] ?? '', pem)
  const secret = pem.split('\n')[1] ?? assert.fail('no key')
  const documents = await Promise.all(['ca.json', 'issuance.jsonl'].map(file => readFile(join(data, 'ca', file), 'utf8')))
  const everything = [root, authority, issued].flatMap(value => [
    JSON.stringify(value),
    inspect(value, { depth: null, showHidden: true }),
    String(value),
  ])
  for (const text of [...documents, ...everything]) assert.ok(!text.includes(secret) && !text.includes('PRIVATE KEY'), text)
  assert.match(inspect({ root }), /redacted/)
})

test('one process at a time has the authority', async t => {
  const data = await folder(t)
  const store = await openCaStore(data)
  await assert.rejects(openCaStore(data), /held by another control plane/)
  await store.close()
  await fileStore(t, data)
})

test('documents are written in the order of the calls', async t => {
  const store = await fileStore(t, await folder(t))
  await Promise.all(Array.from({ length: 20 }, (_, number) => store.writeDocument('numbers', { number })))
  assert.deepEqual(await store.readDocument('numbers'), { number: 19 })
})

test('a document that is there but unreadable is an error, not an absence', async t => {
  const data = await folder(t)
  const store = await fileStore(t, data)
  assert.equal(await store.readDocument('ca'), undefined)
  await store.writeKey('x', '{')
  await rename(join(data, 'ca', 'x.key'), join(data, 'ca', 'ca.json'))
  await assert.rejects(store.readDocument('ca'), /is not JSON/)
})
