import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const src = join(root, 'src')

/** The layers, each importable by those after it. */
const layers = [['telemetry'], ['policies', 'security'], ['discovery'], ['client', 'server'], ['.']] as const

/** Below all of the layers. */
const foundation = new Set(['runtime.ts', 'errors.ts', 'node-http.ts', 'version.ts'])

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

function importsOf(folder: string): Import[] {
  const files = globSync('**/*.ts', { cwd: folder }).filter(file => !file.includes('gen/'))
  return files.flatMap(file => {
    const text = readFileSync(join(folder, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    const statements = text.matchAll(
      /^\s*(?:import|export)\s+(type\s)?[^'"()]*?from\s+'([^']+)'|\bimport\('([^']+)'\)|^import\s+'([^']+)'/gm,
    )
    return Array.from(statements, ([, type, stated, dynamic, bare]) => ({
      from: file,
      to: stated ?? dynamic ?? bare ?? '',
      typeOnly: type !== undefined,
    }))
  })
}

const layerOf = (file: string) => {
  const [first = ''] = file.split('/')
  const folder = file.includes('/') ? first : '.'
  return layers.findIndex(layer => (layer as readonly string[]).includes(folder))
}

const imports = importsOf(src)
const local = imports
  .filter(({ to }) => to.startsWith('.'))
  .map(({ from, to, typeOnly }) => ({ from, to: relative(src, resolve(src, dirname(from), to)), typeOnly }))
const external = imports.filter(({ to }) => !to.startsWith('.'))
const show = ({ from, to }: Import) => `${from} imports ${to}`

test('node:http is not imported: to read all its exports loads a second undici', () => {
  const values = imports.filter(({ from, to, typeOnly }) => to === 'node:http' && !typeOnly && !foundation.has(from))
  assert.deepEqual(values.map(show), [])
})

test('what every process loads has no descriptors of messages', () => {
  const rare = ['check-codec', 'client-status-codec', 'known-types', 'redaction', 'static-config', 'typed-json']
  const isRare = (file: string) => rare.some(name => file === `discovery/${name}.ts`)
  const descriptors = [
    ...local.filter(({ to }) => to.startsWith('discovery/gen/') && to !== 'discovery/gen/tables.ts'),
    ...external.filter(({ to }) => to.startsWith('@bufbuild/protobuf') && to !== '@bufbuild/protobuf/wire'),
  ]
  const stated = descriptors.filter(({ from, typeOnly }) => !typeOnly && !isRare(from))
  assert.deepEqual(stated.map(show), [])
})

test('OpenTelemetry’s API is taken from where its SDK takes it', () => {
  const values = external.filter(({ from, to, typeOnly }) => to === '@opentelemetry/api' && !typeOnly && from !== 'otel.ts')
  assert.deepEqual(values.map(show), [])
})

test('imports go one way between the layers', () => {
  assert.ok(local.length > 50, 'the graph was read')
  const wrong = local.filter(({ from, to }) => !foundation.has(to) && layerOf(to) > layerOf(from))
  assert.deepEqual(wrong.map(show), [])
})

test('nothing is left outside the layers', () => {
  assert.deepEqual(local.filter(({ from, to }) => layerOf(from) < 0 || layerOf(to) < 0).map(show), [])
})

test('the two protocols of the client do not know each other', () => {
  const wrong = local.filter(
    ({ from, to }) =>
      (from.startsWith('client/http/') && to.startsWith('client/grpc/')) ||
      (from.startsWith('client/grpc/') && to.startsWith('client/http/')),
  )
  assert.deepEqual(wrong.map(show), [])
})

test('only discovery sees the generated xDS types', () => {
  const wrong = local.filter(({ from, to }) => to.includes('discovery/gen/') && !from.startsWith('discovery/'))
  assert.deepEqual(wrong.map(show), [])
})

test('each library is imported only where it belongs', () => {
  const homes: readonly [string, RegExp][] = [
    ['undici', /^client\/http\//],
    ['@grpc/grpc-js', /^(client\/grpc|server)\//],
    ['opossum', /^policies\//],
    ['re2js', /^policies\//],
    ['xxhash-wasm', /^policies\//],
    ['@opentelemetry/sdk-node', /^otel\.ts$/],
    ['@bufbuild/protobuf', /^discovery\//],
  ]
  const wrong = external.filter(({ from, to }) =>
    homes.some(([library, home]) => (to === library || to.startsWith(`${library}/`)) && !home.test(from)),
  )
  assert.deepEqual(wrong.map(show), [])
})

test('there is no import cycle', () => {
  const next = new Map<string, string[]>()
  for (const { from, to, typeOnly } of local) if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to])
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [[...path.slice(path.indexOf(file)), file].join(' → ')]
    if (done.has(file)) return []
    const found = (next.get(file) ?? []).flatMap(to => visit(to, [...path, file]))
    done.add(file)
    return found
  }
  assert.deepEqual(
    [...next.keys()].flatMap(file => visit(file, [])),
    [],
  )
})

test('the control plane takes nothing of the SDK but its generated types and security', () => {
  const wrong = importsOf(join(root, 'control-plane/src')).filter(
    ({ to }) => /^inmesh(\/|$)/.test(to) && !/^inmesh\/(gen|security)\//.test(to),
  )
  assert.deepEqual(wrong.map(show), [])
})
