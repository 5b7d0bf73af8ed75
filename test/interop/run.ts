// `npm run test:interop [-- FILE…]`: installs the peers, which takes a while the first time, and runs the tests against them.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'

const named = process.argv.slice(2).filter(arg => !arg.startsWith('-'))
const files =
  named.length > 0
    ? named
    : globSync('*.test.ts', { cwd: import.meta.dirname })
        .sort()
        .map(file => join(import.meta.dirname, file))
// One file at a time: several share the machine's cores with servers under load. The first run of one builds its peer.
const args = ['--conditions=@inmesh/source', '--test', '--test-concurrency=1', '--test-timeout=900000', ...files]
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
process.exitCode = status ?? 1
