import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/runtime.ts'
import { FolderWatcher } from '../../src/sources/folder-watcher.ts'

/** A watched folder; `heard` resolves with the next change after `act`. */
function start(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-watch-'))
  let hear: () => void = () => {}
  const watcher = new FolderWatcher({ folder, logger: silentLogger, onChange: () => hear() })
  t.after(() => {
    watcher.close()
    rmSync(folder, { recursive: true })
  })
  const heard = (act: () => void) =>
    new Promise<void>(resolve => {
      hear = resolve
      act()
    })
  return { folder, watcher, heard }
}

test('a file onto which others are renamed is heard of each time', async t => {
  const { folder, heard } = start(t)
  const beside = mkdtempSync(join(tmpdir(), 'inmesh-watch-'))
  t.after(() => rmSync(beside, { recursive: true }))
  for (let i = 0; i < 5; i++) {
    writeFileSync(join(beside, 'new'), String(i))
    await heard(() => renameSync(join(beside, 'new'), join(folder, 'a.yaml')))
  }
})

test('folders below are heard of, those that come later once they are looked for', async t => {
  const { folder, watcher, heard } = start(t)
  await heard(() => mkdirSync(join(folder, 'b/c'), { recursive: true }))
  watcher.refresh()
  await heard(() => writeFileSync(join(folder, 'b/c/a.yaml'), ''))
  await heard(() => rmSync(join(folder, 'b'), { recursive: true }))
  watcher.refresh()
  await heard(() => mkdirSync(join(folder, 'b')))
})

test('a folder that is removed and made again is heard of', async t => {
  const { folder, watcher, heard } = start(t)
  const below = join(folder, 'b')
  mkdirSync(below)
  watcher.refresh()
  await heard(() => rmSync(below, { recursive: true }))
  await heard(() => mkdirSync(below))
  watcher.refresh()
  await heard(() => writeFileSync(join(below, 'a.yaml'), ''))
  await heard(() => rmSync(join(below, 'a.yaml')))
})

test('a folder that is not there is passed over', t => {
  const { folder, watcher } = start(t)
  rmSync(folder, { recursive: true })
  watcher.refresh()
  mkdirSync(folder)
})
