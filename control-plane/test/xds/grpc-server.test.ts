import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema } from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { connectSilentPeer } from '../../../test/support/silent-peer.ts'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import { AdsServer } from '../../src/xds/ads-server.ts'
import { GrpcServer, type GrpcServerOptions } from '../../src/xds/grpc-server.ts'
import { clusterType } from '../../src/xds/resource-type.ts'
import { cluster, resourcesOf } from '../support/resources.ts'
import { StaticSource } from '../support/static-source.ts'

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

async function start(t: TestContext, options: Partial<GrpcServerOptions> = {}) {
  const source = new StaticSource(resourcesOf({ clusters: [cluster('a')] }))
  const ads = new AdsServer({ clock: systemClock, logger: silentLogger, source, debounceMs: 0 })
  const server = new GrpcServer({ clock: systemClock, logger: silentLogger, handlers: ads.handlers(), ...options })
  const address = await server.listen('127.0.0.1', 0)
  const session = connect(`http://${address}`)
  session.on('error', () => {})
  t.after(async () => {
    session.destroy()
    await server.close()
    ads.close()
  })
  return { server, session, ads, source }
}

const begin = (session: ClientHttp2Session, to = path, headers = {}) =>
  session.request({ ':method': 'POST', ':path': to, 'content-type': 'application/grpc', te: 'trailers', ...headers })

function frame(message: Uint8Array, compressed = 0): Buffer {
  const header = Buffer.alloc(5)
  header[0] = compressed
  header.writeUInt32BE(message.length, 1)
  return Buffer.concat([header, message])
}

const request = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { typeUrl: clusterType }))

/** The status a call ends with, in trailers or in headers alone. */
async function statusOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  stream.resume()
  return new Promise(resolve => {
    stream.on('response', headers => headers['grpc-status'] && resolve(headers))
    stream.on('trailers', resolve)
    stream.on('error', () => {})
  })
}

test('a request in pieces is put together, and one frame may hold several', async t => {
  const { session } = await start(t)
  const stream = begin(session)
  const bytes = Buffer.concat([frame(request), frame(request)])
  for (const byte of bytes.subarray(0, 20)) {
    stream.write(Buffer.of(byte))
    await new Promise(resolve => setImmediate(resolve))
  }
  stream.write(bytes.subarray(20))
  const [data] = await once(stream, 'data')
  assert.ok((data as Buffer).includes(clusterType))
})

test('a half-closed call ends with OK', async t => {
  const { session } = await start(t)
  const stream = begin(session)
  const status = statusOf(stream)
  stream.end(frame(request))
  assert.equal((await status)['grpc-status'], '0')
})

test("gRPC's C core has two streams for each target: hundreds on one connection are all answered", async t => {
  const { session } = await start(t)
  const streams = Array.from({ length: 300 }, () => begin(session))
  for (const stream of streams) stream.write(frame(request))
  const answers = await Promise.all(streams.map(stream => once(stream, 'data')))
  assert.ok(answers.every(([data]) => (data as Buffer).includes(clusterType)))
})

test('an unknown method is UNIMPLEMENTED, and so is a compressed message', async t => {
  const { session } = await start(t)
  assert.equal((await statusOf(begin(session, '/x.Y/Z')))['grpc-status'], '12')
  const stream = begin(session)
  const status = statusOf(stream)
  stream.write(frame(request, 1))
  assert.equal((await status)['grpc-status'], '12')
})

test('what is not gRPC is answered with 415', async t => {
  const { session } = await start(t)
  const [headers] = await once(session.request({ ':method': 'GET', ':path': path }), 'response')
  assert.equal((headers as IncomingHttpHeaders)[':status'], 415)
})

test('a request larger than the limit is RESOURCE_EXHAUSTED before it is read', async t => {
  const { session } = await start(t, { maxRequestBytes: 16 })
  const stream = begin(session)
  const status = statusOf(stream)
  stream.write(frame(Buffer.alloc(17)).subarray(0, 8))
  assert.equal((await status)['grpc-status'], '8')
})

test('rule 30: draining ends every stream with UNAVAILABLE and says GOAWAY', async t => {
  const { session, server, ads } = await start(t)
  const stream = begin(session)
  stream.write(frame(request))
  await once(stream, 'data')
  const goaway = once(session, 'goaway')
  const status = statusOf(stream)
  await Promise.all([server.close(), goaway])
  assert.equal((await status)['grpc-status'], '14')
  assert.equal(ads.clients().length, 0)
})

test('rule 30: a client that never hangs up is cut off', async t => {
  const clock = new ManualClock()
  const { server, session } = await start(t, { clock })
  await once(session, 'connect')
  await connectSilentPeer(t, Number(session.socket?.remotePort))
  const closed = server.close()
  clock.advance(2000)
  await closed
})

test('a client that stops reading costs no queue and gets the latest when it reads again', async t => {
  const { session, ads, source } = await start(t)
  const large = (marker: number) => resourcesOf({ clusters: [cluster('a', `${marker}`.padEnd(300_000, 'x'))] })
  source.set(large(0))
  ads.update()
  const stream = begin(session)
  stream.write(frame(request))
  await once(stream, 'response')
  let received = Buffer.alloc(0)
  const complete = () => received.length >= 5 && received.length >= 5 + received.readUInt32BE(1)
  const read = async () => {
    while (!complete()) {
      const chunk: Buffer | null = stream.read()
      if (chunk) received = Buffer.concat([received, chunk])
      else await once(stream, 'readable')
    }
    const end = 5 + received.readUInt32BE(1)
    const message = fromBinary(DeltaDiscoveryResponseSchema, received.subarray(5, end))
    received = received.subarray(end)
    return message
  }
  // The flow-control window is smaller than the response, so the server is stuck in the middle of it.
  await once(stream, 'readable')
  for (let marker = 1; marker <= 20; marker++) {
    source.set(large(marker))
    ads.update()
  }
  const { nonce } = await read()
  stream.write(
    frame(
      toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { typeUrl: clusterType, responseNonce: nonce })),
    ),
  )
  const { systemVersionInfo } = await read()
  assert.equal(systemVersionInfo, '22')
  assert.equal(received.length, 0)
})

test('plaintext is refused beyond loopback', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
    const server = new GrpcServer({ clock: systemClock, logger: silentLogger, handlers: new Map() })
    await assert.rejects(server.listen(host, 0), /loopback/)
  }
})

test('the status message is percent-encoded', async t => {
  const { session } = await start(t)
  assert.equal((await statusOf(begin(session, '/ü%')))['grpc-message'], 'no method /%C3%BC%25')
})

test('a client that answers no ping is cut off, and so is one that says it goes and stays', async t => {
  const clock = new ManualClock()
  const server = new GrpcServer({ clock, logger: silentLogger, handlers: new Map(), keepaliveIntervalMs: 30_000 })
  const port = Number((await server.listen('127.0.0.1', 0)).split(':').at(-1))
  const silent = await connectSilentPeer(t, port)
  const going = await connectSilentPeer(t, port)
  const goaway = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  going.resume().write(goaway)
  await once(going, 'end')
  silent.resume()
  const isOver = Promise.all([silent, going].map(peer => new Promise(resolve => peer.once('close', resolve))))
  clock.advance(30_000)
  clock.advance(30_000)
  // Nobody cuts them off on the way out: that clock stands still.
  await server.close()
  silent.end()
  going.end()
  await isOver
})
