import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { silentLogger } from '../../src/runtime.ts'
import { FileSource, type FolderContents } from '../../src/sources/file-source.ts'

let folder = ''
let clock = new ManualClock()
let source: FileSource
let seen: FolderContents[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'inmesh-source-'))
  clock = new ManualClock()
  seen = []
  source = new FileSource({ folder, runtime: { clock, logger: silentLogger }, pollMs: 1000, debounceMs: 100 })
})
afterEach(() => {
  source.close()
  rmSync(folder, { recursive: true, force: true })
})

const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
const values = ({ documents }: FolderContents) => documents.map(({ value }) => value)
const follow = () => {
  source.read()
  source.follow(contents => seen.push(contents))
}
/** The poll, the quiet time after it. */
const tick = () => {
  clock.advance(1000)
  clock.advance(100)
}

test('reads YAML recursively, in the order of the paths, and nothing else', () => {
  mkdirSync(join(folder, 'b/c'), { recursive: true })
  write('b/c/deep.yml', 'kind: deep')
  write('a.yaml', 'kind: one\n---\nkind: two\n---\n')
  write('notes.txt', 'kind: no')
  write('.hidden.yaml', 'kind: no')
  assert.deepEqual(values(source.read()), [{ kind: 'one' }, { kind: 'two' }, { kind: 'deep' }])
})

test('a file that cannot be parsed is a problem, and the others are read', () => {
  write('a.yaml', 'kind: [')
  write('b.yaml', 'kind: good')
  const { documents, problems } = source.read()
  assert.deepEqual(
    documents.map(({ value }) => value),
    [{ kind: 'good' }],
  )
  assert.equal(problems[0]?.file, join(folder, 'a.yaml'))
})

test('a folder that is not there is a problem', () => {
  rmSync(folder, { recursive: true })
  assert.match(source.read().problems[0]?.message ?? '', /cannot be read: .*ENOENT/)
})

test('a written, an added and a removed file are each seen once', () => {
  write('a.yaml', 'kind: one')
  follow()
  write('a.yaml', 'kind: changed')
  tick()
  write('b.yaml', 'kind: added')
  tick()
  unlinkSync(join(folder, 'a.yaml'))
  tick()
  tick()
  assert.deepEqual(seen.map(values), [[{ kind: 'changed' }], [{ kind: 'changed' }, { kind: 'added' }], [{ kind: 'added' }]])
})

test('a file replaced by renaming another onto it is seen, as editors save', () => {
  write('a.yaml', 'kind: one')
  follow()
  write('.a.yaml.swp', 'kind: saved')
  renameSync(join(folder, '.a.yaml.swp'), join(folder, 'a.yaml'))
  tick()
  assert.deepEqual(seen.map(values), [[{ kind: 'saved' }]])
})

test('a link that is swapped for another is seen, as a ConfigMap is updated', () => {
  for (const version of ['..v1', '..v2']) {
    mkdirSync(join(folder, version))
    write(`${version}/a.yaml`, `kind: ${version.slice(2)}`)
  }
  symlinkSync('..v1', join(folder, '..data'))
  symlinkSync('..data/a.yaml', join(folder, 'a.yaml'))
  follow()
  assert.deepEqual(values(source.read()), [{ kind: 'v1' }])
  symlinkSync('..v2', join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  tick()
  assert.deepEqual(seen.map(values), [[{ kind: 'v2' }]])
})

test('a series of writes is one change, after it is over', () => {
  write('a.yaml', 'kind: 0')
  follow()
  for (let i = 1; i <= 5; i++) {
    write('a.yaml', `kind: ${i}`)
    utimesSync(join(folder, 'a.yaml'), i, i)
    clock.advance(i === 1 ? 1000 : 50)
  }
  tick()
  assert.deepEqual(seen.map(values).at(-1), [{ kind: 5 }])
  assert.ok(seen.length <= 2, `${seen.length} changes`)
})

test('a folder that contains itself ends', () => {
  write('a.yaml', 'kind: one')
  symlinkSync('.', join(folder, 'again'))
  assert.deepEqual(values(source.read()), [{ kind: 'one' }])
})

test('after close nothing is reported', () => {
  follow()
  source.close()
  write('a.yaml', 'kind: late')
  tick()
  assert.deepEqual(seen, [])
})
