import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { create, type JsonObject, toBinary } from '@bufbuild/protobuf'
import { DeltaDiscoveryRequestSchema } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { until } from '../../test/support/until.ts'
import type { Configuration } from '../src/configuration.ts'
import { DiscoveryService, type DiscoveryServiceOptions } from '../src/discovery-service.ts'
import type { RegisteredWorkload } from '../src/registry/registered-workload.ts'
import { silentLogger } from '../src/runtime.ts'
import { clusterType } from '../src/xds/resource-type.ts'
import { cluster, resourcesOf } from './support/resources.ts'

/** A cluster for each service that is registered. */
class OneClusterPerService implements Configuration {
  names: readonly string[] = []
  #listener = () => {}
  readonly #waiting: (() => void)[] = []

  setWorkloads(workloads: readonly RegisteredWorkload[]): void {
    this.names = workloads.map(({ service }) => service)
    this.#listener()
    for (const done of this.#waiting.splice(0)) done()
  }

  onChange(listener: () => void): void {
    this.#listener = listener
  }

  viewOf(): string {
    return 'all'
  }

  resourcesOf() {
    return { revision: this.names.join(), resources: resourcesOf({ clusters: this.names.map(name => cluster(name)) }) }
  }

  close(): void {}

  changed(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }
}

async function start(t: TestContext, options: Partial<DiscoveryServiceOptions> = {}) {
  const clock = new ManualClock()
  const configuration = new OneClusterPerService()
  const runtime = { clock, logger: silentLogger }
  const service = await DiscoveryService.start(configuration, { runtime, xdsPort: 0, push: { debounceMs: 0 }, ...options })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= service.close()
    return closed
  }
  t.after(close)
  return { clock, configuration, service, close }
}

function open(t: TestContext, service: DiscoveryService, endpoints: JsonObject['x'][]) {
  const session = connect(`http://${service.xdsAddress}`)
  t.after(() => session.destroy())
  session.on('error', () => {})
  const stream = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.on('error', () => {})
  const node = { id: 'n', metadata: { INMESH_ENDPOINTS: endpoints } }
  const message = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { node, typeUrl: clusterType }))
  const header = Buffer.alloc(5)
  header.writeUInt32BE(message.length, 1)
  stream.write(Buffer.concat([header, message]))
  return { stream, session }
}

const reviews = { service: 'reviews', address: '127.0.0.1', port: 8080, protocol: 'http' }

test('a workload registers by its stream and is told of itself', async t => {
  const { service, configuration } = await start(t)
  const { stream } = open(t, service, [reviews])
  for await (const chunk of stream) if ((chunk as Buffer).includes('reviews')) break
  assert.deepEqual(configuration.names, ['reviews'])
  assert.equal(service.clients()[0]?.nodeId, 'n')
})

test('a workload whose connection is lost leaves after the grace period', async t => {
  const { service, configuration, clock } = await start(t, { graceMs: 1000 })
  const registered = configuration.changed()
  const { session } = open(t, service, [reviews])
  await registered
  session.destroy()
  await until(() => service.clients().length === 0)
  clock.advance(999)
  assert.deepEqual(configuration.names, ['reviews'])
  clock.advance(1)
  assert.deepEqual(configuration.names, [])
})

test('a control plane that starts again knows who was there', async t => {
  const data = await mkdtemp(join(tmpdir(), 'inmesh-'))
  t.after(() => rm(data, { recursive: true }))
  const first = await start(t, { data })
  const registered = first.configuration.changed()
  open(t, first.service, [reviews]).stream.resume()
  await registered
  await first.close()
  const second = await start(t, { data })
  assert.deepEqual(second.configuration.names, ['reviews'])
  const left = second.configuration.changed()
  second.clock.advance(150_000)
  await left
  assert.deepEqual(second.configuration.names, [])
})
