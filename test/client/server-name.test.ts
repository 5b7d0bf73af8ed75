import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer, type TLSSocket } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { EndpointChannels } from '../../src/client/grpc/endpoint-channels.ts'
import { ConnectionPools } from '../../src/client/http/connection-pool.ts'
import type { UpstreamTls } from '../../src/discovery/model/cluster.ts'
import { systemClock } from '../../src/runtime.ts'
import { RecordingHandler } from '../support/recording-handler.ts'
import { TestCa } from '../support/test-ca.ts'
import { makeTransport } from '../support/tls-model.ts'

const http = {
  protocol: 'http1',
  idleTimeoutMs: undefined,
  maxConnectionDurationMs: undefined,
  maxRequestsPerConnection: undefined,
} as const

/** What a server is told in handshakes that succeed; `false` is no SNI. */
async function setUp(t: TestContext) {
  const ca = await TestCa.create(t)
  const { certificate: cert, privateKey: key } = await ca.issue('dns:reviews', 'dns:pod-1.example.com')
  const server = createServer({ cert, key, ALPNProtocols: ['h2', 'http/1.1'] })
  server.on('tlsClientError', () => {})
  server.on('connection', socket => t.after(() => socket.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const trust = { kind: 'inline', ca: ca.certificate } as const
  const transport = (tls: Partial<UpstreamTls>) => makeTransport({ trust, ...tls }, 'pod-1.example.com')
  const endpoint = { address: '127.0.0.1', port, alternatives: [{ address: '127.0.0.2', port }] }
  return { server, endpoint, transport }
}

const cases: readonly (readonly [string, Partial<UpstreamTls>, string | false])[] = [
  ['none', {}, false],
  ['the name that is called', { autoSni: true }, 'reviews'],
  ['that of the cluster', { sni: 'reviews' }, 'reviews'],
  [
    'that of the endpoint, which its certificate names',
    { sni: 'reviews', autoHostSni: true, autoSniSanValidation: true },
    'pod-1.example.com',
  ],
]

for (const [what, tls, expected] of cases) {
  test(`HTTP: the SNI is ${what} (A101)`, async t => {
    const { server, endpoint, transport } = await setUp(t)
    const pools = new ConnectionPools({
      ...endpoint,
      connectTimeoutMs: 5000,
      maxConnections: 1,
      tls: transport(tls),
      http,
      clock: systemClock,
    })
    t.after(() => pools.destroy(new Error('over')))
    const told = once(server, 'secureConnection') as Promise<[TLSSocket & { servername: string | false }]>
    const handler = new RecordingHandler()
    pools.get('http://reviews').dispatch({ path: '/', method: 'GET' }, handler)
    const [socket] = await told
    await once(socket, 'data')
    assert.equal(socket.servername, expected)
    socket.end('HTTP/1.1 204 No Content\r\n\r\n')
    await handler.done
    assert.equal(handler.statusCode, 204)
  })

  test(`gRPC: the SNI is ${what} (A101)`, async t => {
    const { server, endpoint, transport } = await setUp(t)
    const channels = new EndpointChannels({ ...endpoint, tls: transport(tls) })
    t.after(() => channels.drain())
    const told = once(server, 'secureConnection') as Promise<[TLSSocket & { servername: string | false }]>
    const profile = { options: {}, credentials: grpc.credentials.createInsecure(), channelId: '1', isClosed: false }
    channels.get(profile, 'reviews:80').getConnectivityState(true)
    const [socket] = await told
    // The preface of HTTP/2 comes once the certificate is found good.
    await once(socket, 'data')
    assert.equal(socket.servername, expected)
    socket.destroy()
  })
}
