import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

interface LockedPackage {
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

const root = fileURLToPath(new URL('..', import.meta.url))
const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as { packages: Readonly<Record<string, LockedPackage>> }
const locked = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
/** What an application gets with the mesh or the control plane. */
const shipped = locked.filter(([, { dev }]) => dev !== true)

test('H4: every package is locked to its content', () => {
  assert.ok(locked.length > 100)
  for (const [path, { integrity = '' }] of locked) assert.match(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/, path)
})

test('H4: no package needs to run anything to be installed', () => {
  // That of protobufjs looks whether the version that is asked for is an exact one, and prints a hint.
  const withScripts = shipped.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path)
  assert.deepEqual(withScripts, ['node_modules/protobufjs'])
})

test('H5: nothing that is shipped is native code', () => {
  for (const [path] of shipped) {
    const files = readdirSync(`${root}${path}`, { recursive: true }).map(String)
    assert.ok(files.length > 0, path)
    const nested = /(^|\/)node_modules\//
    const native = files.filter(file => !nested.test(file) && /\.node$|\.so$|\.dylib$|\.dll$|(^|\/)binding\.gyp$/.test(file))
    assert.deepEqual(native, [], path)
  }
})
