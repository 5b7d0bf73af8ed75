// The one entry of every npm script. It runs on any Node >= 20 with nothing installed: it installs what package-lock.json names,
// generates the xDS types, and then runs the task on the Node of devDependencies.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules/.bin')
const source = '--conditions=@inmesh/source'
const [task, ...args] = process.argv.slice(2)

const digest = (...paths) => {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(readFileSync(join(root, path)))
  return hash.digest('hex')
}

/** Runs `work` unless `stamp` says that it ran for the same inputs. */
async function once(stamp, inputs, title, work) {
  const file = join(root, stamp)
  const want = digest(...inputs)
  if (existsSync(file) && readFileSync(file, 'utf8') === want) return
  await progress(title, work)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, want)
}

/** Shows one line while `work` runs: rewritten every second on a terminal, printed once otherwise. */
async function progress(title, work) {
  const begun = Date.now()
  const line = () => `${title} … ${Math.round((Date.now() - begun) / 1000)} s`
  if (!process.stderr.isTTY) process.stderr.write(`${title} …\n`)
  const ticking = process.stderr.isTTY ? setInterval(() => process.stderr.write(`\r${line()}`), 1000) : undefined
  try {
    await work()
  } finally {
    clearInterval(ticking)
    if (process.stderr.isTTY) process.stderr.write(`\r${line()}\n`)
  }
}

/** Runs a command whose output is shown only when it fails. */
const quiet = (command, ...argv) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, argv, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
    const output = []
    child.stdout.on('data', chunk => output.push(chunk))
    child.stderr.on('data', chunk => output.push(chunk))
    child.on('error', reject)
    child.on('close', code => {
      if (code === 0) return resolve()
      process.stderr.write(Buffer.concat(output))
      reject(new Error(`${command} ${argv.join(' ')} ended with ${code}`))
    })
  })

/** What hangs is ended, and the runner of tests then says which of them hung: their own time limit does not end what one left behind. */
const taskMs = 60 * 60_000

/** Runs a command in the foreground on the project's Node and ends this process when it fails. */
function run(command, ...argv) {
  const env = { ...process.env, PATH: bin + delimiter + process.env.PATH }
  const { status, signal, error } = spawnSync(command, argv, { cwd: root, stdio: 'inherit', env, timeout: taskMs })
  if (error?.code === 'ETIMEDOUT') process.stderr.write(`${command} was ended after ${taskMs / 60_000} minutes\n`)
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1))
}

const node = (...argv) => run(join(bin, 'node'), ...argv)

// Not `npm ci`: it refuses a lock file made where the binaries for other platforms could not be looked up.
const install = () =>
  once('node_modules/.cache/inmesh-install', ['package-lock.json'], 'Installing dependencies', () =>
    quiet('npm', 'install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'),
  )

const generate = () =>
  once(
    'src/discovery/gen/.stamp',
    ['package-lock.json', 'scripts/generate.mjs', 'src/discovery/decoded-types.ts', 'src/discovery/opaque-types.ts'],
    'Generating the xDS types',
    () => quiet(join(bin, 'node'), 'scripts/generate.mjs'),
  )

/** The modules of the SDK's `exports`; what else it has is bundled into files beside them (docs/decisions/0004). */
const entries = Object.values(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports).flatMap(
  ({ default: file = '' }) => (file.includes('*') ? [] : (file.match(/^\.\/dist\/(.+)\.js$/)?.[1] ?? [])),
)
/** Modules that only benchmarks load from outside. */
const innerEntries = ['client/http/fetch', 'client/router', 'client/endpoint']

/** Of a dependency that is bundled. */
const wireFormat = 'node_modules/@bufbuild/protobuf/dist/esm/wire'

/** The comments at the head of every file of a folder: whose it is, and on what terms. */
function notices(folder) {
  const files = readdirSync(join(root, folder)).filter(name => name.endsWith('.js'))
  const heads = files.map(name => readFileSync(join(root, folder, name), 'utf8').match(/^(\/\/.*\n)+/)?.[0] ?? '')
  return [...new Set(heads)].join('\n')
}

/** Compiles both packages. The types of messages stay modules of their own, since the control plane imports some of them. */
const build = ({ withInner = false } = {}) =>
  progress('Building', async () => {
    for (const folder of ['.', 'control-plane']) {
      rmSync(join(root, folder, 'dist'), { recursive: true, force: true })
      await quiet(join(bin, 'node'), 'node_modules/typescript/bin/tsc', '-p', join(folder, 'tsconfig.build.json'))
    }
    for (const file of readdirSync(join(root, 'dist'), { recursive: true }))
      if (file.endsWith('.js') && !file.startsWith(join('discovery', 'gen'))) rmSync(join(root, 'dist', file))
    const modules = withInner ? [...entries, ...innerEntries] : entries
    await quiet(
      join(bin, 'esbuild'),
      ...modules.map(name => `src/${name}.ts`),
      ...['--bundle', '--splitting', '--format=esm', '--platform=node', '--target=node22', '--packages=external'],
      // Eight files that take longer to find than to run (docs/decisions/0005).
      `--alias:@bufbuild/protobuf/wire=./${wireFormat}/index.js`,
      ...['--outdir=dist', '--outbase=src', '--log-level=warning'],
    )
    writeFileSync(join(root, 'dist/THIRD-PARTY-NOTICES.txt'), notices(wireFormat))
    const assets = join(root, 'control-plane/src/assets')
    if (existsSync(assets)) cpSync(assets, join(root, 'control-plane/dist/assets'), { recursive: true })
  })

const test = (...patterns) =>
  node(source, '--test', '--test-timeout=60000', ...args.filter(arg => arg.startsWith('-')), ...pick(patterns))
const pick = patterns => {
  const named = args.filter(arg => !arg.startsWith('-'))
  return named.length > 0 ? named : patterns
}

const tasks = {
  generate: () => {},
  build,
  lint: () => run(join(bin, 'biome'), 'check', '--error-on-warnings', ...args),
  types: () => node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'),
  test: () => test('test/!(interop|istio)/**/*.test.ts', 'test/*.test.ts', 'control-plane/test/**/*.test.ts'),
  'test:interop': async () => {
    await build()
    node(source, 'test/interop/run.ts', ...args)
  },
  'test:istio': () => node(source, 'test/istio/run.ts', ...args),
  bench: async () => {
    await build({ withInner: true })
    node(source, 'bench/run.ts', ...args)
  },
  demo: async () => {
    await build()
    node(source, 'examples/bookinfo/demo.ts', ...args)
  },
  'check:package': async () => {
    await build()
    for (const folder of ['.', 'control-plane']) run(join(bin, 'publint'), 'run', folder, '--strict')
  },
}

const chosen = tasks[task]
if (!chosen) {
  process.stderr.write(`Unknown task ${JSON.stringify(task)}; one of: ${Object.keys(tasks).join(', ')}\n`)
  process.exit(64)
}
try {
  await install()
  await generate()
  await chosen()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}
