import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { HealthService } from '../../src/server/grpc-health.ts'
import { until } from '../support/until.ts'

const method = (name: string, responseStream: boolean) => ({
  path: `/grpc.health.v1.Health/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: (service: string) => Buffer.concat([Buffer.from([10, service.length]), Buffer.from(service)]),
  requestDeserialize: (message: Buffer) => message,
  responseSerialize: (message: Buffer) => message,
  responseDeserialize: (message: Buffer) => message[1] ?? 0,
})
const HealthClient = grpc.makeClientConstructor({ Watch: method('Watch', true) }, 'Health') as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
) => grpc.Client & { Watch(service: string): grpc.ClientReadableStream<number> }

async function start(t: TestContext) {
  const health = new HealthService()
  const server = new grpc.Server()
  health.addTo(server)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const client = new HealthClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  t.after(() => {
    client.close()
    server.forceShutdown()
  })
  const watch = (service: string) => {
    const seen: number[] = []
    const stream = client.Watch(service)
    stream.on('data', status => seen.push(status))
    stream.on('error', () => {})
    return { seen, stream }
  }
  return { health, watch }
}

suite('the health service', () => {
  test('is NOT_SERVING once it drains, whatever the application says after that', async t => {
    const { health, watch } = await start(t)
    health.set('shop', 'SERVING')
    const { seen } = watch('shop')
    await until(() => seen.length === 1)
    health.drain()
    health.set('shop', 'SERVING')
    health.close()
    await until(() => seen.length === 2)
    assert.deepEqual(seen, [1, 2])
    const later = watch('shop')
    await until(() => later.seen.length === 1)
    assert.deepEqual(later.seen, [2])
  })

  test('keeps no name for longer than it is watched', async t => {
    const { health, watch } = await start(t)
    const watches = ['a', 'b', 'b'].map(name => watch(name))
    await until(() => watches.every(({ seen }) => seen.length === 1))
    assert.equal(health.watched, 2)
    for (const { stream } of watches) stream.cancel()
    await until(() => health.watched === 0)
  })
})
