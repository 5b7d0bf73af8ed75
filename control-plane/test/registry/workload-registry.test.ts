import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { create, type JsonObject, type JsonValue } from '@bufbuild/protobuf'
import { NodeSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { RegistryFile } from '../../src/registry/registry-file.ts'
import { type StoredRegistration, WorkloadRegistry } from '../../src/registry/workload-registry.ts'
import { silentLogger } from '../../src/runtime.ts'

const reviews = { service: 'reviews', address: '10.0.0.1', port: 8080, protocol: 'http' }

function node(endpoints?: JsonValue, id = 'reviews-1', more: JsonObject = {}) {
  const metadata: JsonObject = { NAMESPACE: 'shop', LABELS: { version: 'v1' }, ...more }
  if (endpoints !== undefined) metadata.INMESH_ENDPOINTS = endpoints
  return create(NodeSchema, { id, userAgentName: 'inmesh', metadata, locality: { region: 'eu', zone: 'eu-a' } })
}

function registry(stored: readonly StoredRegistration[] = []) {
  const clock = new ManualClock()
  const changes: string[] = []
  const warnings: unknown[] = []
  const logger = {
    ...silentLogger,
    warn: (_: string, fields?: Readonly<Record<string, unknown>>) => warnings.push(fields?.problem),
  }
  const onChange = (workloads: readonly { readonly id: string }[]) => changes.push(workloads.map(({ id }) => id).join(' '))
  return { clock, changes, warnings, registry: new WorkloadRegistry({ clock, logger, stored, onChange }) }
}

const id = 'reviews-1/reviews/8080'

test('a workload registers with the metadata of its stream', () => {
  const { registry: it, changes } = registry()
  it.opened({}, node([reviews]))
  assert.deepEqual(it.workloads, [
    {
      id,
      ...reviews,
      weight: 1,
      namespace: 'shop',
      labels: { version: 'v1' },
      locality: { region: 'eu', zone: 'eu-a', subZone: '' },
    },
  ])
  assert.deepEqual(changes, [id])
})

test('it is withdrawn at once by a stream of the same process without endpoints', () => {
  for (const none of [undefined, []]) {
    const { registry: it, changes } = registry()
    const old = {}
    it.opened(old, node([reviews]))
    it.opened({}, node(none))
    assert.deepEqual(changes, [id, ''])
    it.closed(old)
    assert.deepEqual(changes, [id, ''])
  }
})

test('another xDS client of the same process does not withdraw it', () => {
  const { registry: it, changes } = registry()
  it.opened({}, node([reviews]))
  const other = node()
  other.userAgentName = 'gRPC Node Pure JS'
  it.opened({}, other)
  assert.deepEqual(changes, [id])
})

test('it is withdrawn when its stream is gone for longer than the grace period', () => {
  const { registry: it, changes, clock } = registry()
  const stream = {}
  it.opened(stream, node([reviews]))
  it.closed(stream)
  clock.advance(4999)
  assert.deepEqual(changes, [id])
  clock.advance(1)
  assert.deepEqual(changes, [id, ''])
  assert.deepEqual(it.stored, [])
})

test('coming back within the grace period changes nothing', () => {
  const { registry: it, changes, clock } = registry()
  const stream = {}
  it.opened(stream, node([reviews]))
  it.closed(stream)
  clock.advance(4000)
  it.opened({}, node([reviews]))
  clock.advance(60_000)
  assert.deepEqual(changes, [id])
})

test('a new stream that overlaps the old one keeps the workload', () => {
  const { registry: it, changes, clock } = registry()
  const old = {}
  it.opened(old, node([reviews]))
  it.opened({}, node([reviews]))
  it.closed(old)
  clock.advance(60_000)
  assert.deepEqual(changes, [id])
})

test('after a restart what was stored is there, and leaves unless it comes back', () => {
  const before = registry()
  before.registry.opened({}, node([reviews]))
  before.registry.opened({}, node([{ ...reviews, port: 9090 }], 'reviews-2'))
  const after = registry(before.registry.stored)
  assert.equal(after.registry.workloads.length, 2)
  after.registry.opened({}, node([reviews]))
  assert.deepEqual(after.changes, [])
  after.clock.advance(150_000)
  assert.deepEqual(after.changes, [id])
})

test('bad registrations are refused with the field, and the good ones beside them count', () => {
  const cases: [JsonValue, string][] = [
    [{ ...reviews, address: 'reviews.example' }, 'INMESH_ENDPOINTS[0].address: "reviews.example" is not an IP address'],
    [{ ...reviews, address: 'fe80::1%eth0' }, 'INMESH_ENDPOINTS[0].address: "fe80::1%eth0" is not an IP address'],
    [{ ...reviews, address: '0.0.0.0' }, 'INMESH_ENDPOINTS[0].address: 0.0.0.0 is no address to connect to'],
    [{ ...reviews, port: 0 }, 'INMESH_ENDPOINTS[0].port: 0 is not a port'],
    [{ ...reviews, port: 65_536 }, 'INMESH_ENDPOINTS[0].port: 65536 is not a port'],
    [{ ...reviews, port: '80' }, 'INMESH_ENDPOINTS[0].port: "80" is not a port'],
    [{ ...reviews, service: 'Reviews/../x' }, 'INMESH_ENDPOINTS[0].service: "Reviews/../x" is not a DNS name'],
    [{ ...reviews, protocol: 'smtp' }, 'INMESH_ENDPOINTS[0].protocol: "smtp" is unknown'],
    [{ ...reviews, weight: -1 }, 'INMESH_ENDPOINTS[0].weight: -1 is not a whole number from 1 to 65535'],
    ['reviews', 'INMESH_ENDPOINTS[0]: must be an object'],
  ]
  for (const [bad, problem] of cases) {
    const { registry: it, warnings, changes } = registry()
    it.opened({}, node([bad, { ...reviews, service: 'good' }]))
    assert.deepEqual(warnings, [problem])
    assert.deepEqual(changes, ['reviews-1/good/8080'])
  }
})

test('a namespace that is none refuses all, a label that is none only itself', () => {
  const { registry: it, warnings } = registry()
  it.opened({}, node([reviews], 'a', { NAMESPACE: 'a b' }))
  it.opened({}, node([reviews], 'b', { LABELS: { version: 'v1', 'bad key': 'x', tier: 3 } }))
  assert.equal(warnings.length, 3)
  assert.deepEqual(
    it.workloads.map(({ labels }) => labels),
    [{ version: 'v1' }],
  )
})

test('the registry is written whole and read back', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'data', 'registry.json')
  const { registry: it, clock } = registry()
  it.opened({}, node([reviews]))
  const file = new RegistryFile(path, clock, silentLogger)
  assert.equal(await file.read(), undefined)
  file.write([])
  file.write(it.stored)
  await file.flush()
  assert.deepEqual(await file.read(), it.stored)
  await writeFile(path, (await readFile(path, 'utf8')).slice(0, 40))
  assert.equal(await file.read(), undefined)
})
