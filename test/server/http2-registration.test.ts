import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Http2Server, type IncomingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { Http2Registration } from '../../src/server/http2-registration.ts'
import { Inbound } from '../../src/server/inbound.ts'
import type { ListeningWorkload } from '../../src/server/mesh-server.ts'
import { MeshTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { http2On, listen, plain } from '../support/gated-server.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { connectSilentPeer } from '../support/silent-peer.ts'
import { until } from '../support/until.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'

async function register(t: TestContext, server: Http2Server) {
  const clock = new ManualClock()
  const telemetry = new MeshTelemetry({ service: 'a', runtime: { clock, random: seededRandom(1) } })
  const told: string[] = []
  const registrar = {
    register: ({ protocol }: ListeningWorkload) => told.push(`register ${protocol}`),
    deregister: ({ protocol }: ListeningWorkload) => told.push(`deregister ${protocol}`),
  }
  const port = await listen(t, server)
  const environment = { inbound: new Inbound(telemetry), clock, registrar, gate: null, address: undefined }
  return { registration: new Http2Registration(server, environment), clock, telemetry, told, port }
}

const call = { isGrpc: true, method: 'POST', scheme: 'http', authority: 'b', path: '/s/m', startedAtWall: 0 }

describe('an HTTP/2 server that the mesh did not make', () => {
  test('is registered by what it serves', async t => {
    const http = await register(
      t,
      createServer(() => {}),
    )
    assert.deepEqual(http.told, ['register http2'])
    http.registration.withdraw()
    http.registration.withdraw()
    assert.deepEqual(http.told, ['register http2', 'deregister http2'])
    const ofStreams = await register(
      t,
      createServer().on('stream', () => {}),
    )
    assert.deepEqual(ofStreams.told, ['register grpc'])
  })

  test('its requests run inside the trace of the caller, and are counted', async t => {
    const seen: (string | undefined)[] = []
    const server = createServer((_request, response) => {
      seen.push(telemetry.startSpan(call)?.traceparent)
      response.writeHead(418).end('short and stout')
    })
    const { telemetry, port } = await register(t, server)
    const stream = http2On(t, await plain(t, port), 'http').request({ ':path': '/pot', traceparent })
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    assert.equal(headers[':status'], 418)
    assert.equal(await text(stream), 'short and stout')
    assert.deepEqual(seen, [traceparent])
    await until(() => telemetry.stats.inbound.active === 0)
    assert.deepEqual(
      [...telemetry.stats.inbound.cells].map(({ attributes }) => attributes['http.response.status_code']),
      [418],
    )
  })

  test('drained: the requests in flight are answered, and the server is gone', async t => {
    let answer = () => {}
    const server = createServer((_request, response) => {
      answer = () => response.end('x')
    })
    const { registration, clock, told, port, telemetry } = await register(t, server)
    const stream = http2On(t, await plain(t, port), 'http').request({ ':path': '/' })
    await until(() => telemetry.stats.inbound.active > 0)
    const drained = registration.drain({ propagationMs: 500, deadlineMs: 1000 })
    assert.deepEqual(told, ['register http2', 'deregister http2'])
    clock.advance(500)
    answer()
    assert.equal(await text(stream), 'x')
    await drained
    assert.equal(server.listening, false)
  })

  test('drained: a peer that never hangs up is cut off at the deadline', async t => {
    const { registration, clock, port } = await register(
      t,
      createServer(() => {}),
    )
    const peer = await connectSilentPeer(t, port)
    const drained = registration.drain({ propagationMs: 500, deadlineMs: 1000 })
    clock.advance(500)
    // The deadline is set once the propagation is over.
    await until(() => clock.pendingTimers > 0)
    clock.advance(1000)
    await drained
    peer.destroy()
  })
})
