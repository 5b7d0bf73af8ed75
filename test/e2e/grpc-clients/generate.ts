import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)
const here = import.meta.dirname
/** Not in `node_modules`, where Node strips no types. */
const generated = join(here, 'generated')

/**
 * The code of `guide.proto` that ts-proto makes.
 *
 * @param services `outputServices` of ts-proto
 */
export async function generate<Module>(...services: readonly string[]): Promise<Module> {
  const out = join(generated, services.join('-'))
  rmSync(out, { recursive: true, force: true })
  const plugin = {
    local: [process.execPath, require.resolve('ts-proto/protoc-gen-ts_proto')],
    out,
    opt: [...services.map(each => `outputServices=${each}`), 'esModuleInterop=true', 'importSuffix=.ts'],
  }
  const buf = join(dirname(require.resolve('@bufbuild/buf/package.json')), 'bin/buf')
  const template = JSON.stringify({ version: 'v2', plugins: [plugin] })
  execFileSync(process.execPath, [buf, 'generate', here, '--template', template], { stdio: 'pipe' })
  return await import(pathToFileURL(join(out, 'guide.ts')).href)
}
