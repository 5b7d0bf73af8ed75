import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { createFetch } from '../../src/client/http/fetch.ts'
import { ownCertificate } from '../../src/security/tls-material.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { makeMesh } from '../support/test-mesh.ts'
import { makeTls } from '../support/tls-model.ts'
import { until } from '../support/until.ts'

const authority = await SvidAuthority.create('td')
const identity = await authority.identity('/b', [], { names: ['dns:b', 'url:spiffe://td/b'] })
const tls = makeTls({ trust: { kind: 'inline', ca: String(authority.root) } })

/** A server on one port that takes both, and tells how it was spoken to. */
async function serveBoth(t: TestContext) {
  const http = createServer(({ socket }: IncomingMessage, response: ServerResponse) =>
    response.end(socket instanceof TLSSocket ? 'TLS' : 'plaintext'),
  )
  const sockets = new Set<Socket>()
  const server = createNetServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    socket.once('readable', () => {
      const first: Buffer | null = socket.read(1)
      if (first === null) return
      socket.unshift(first)
      const secured = first[0] === 0x16 ? new TLSSocket(socket, { isServer: true, ...ownCertificate(identity) }) : socket
      secured.on('error', () => {})
      http.emit('connection', secured)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

for (const change of ['an update of its endpoints', 'another cluster in its place'])
  test(`an endpoint that speaks TLS now, and then no more, is spoken to so: ${change}`, async t => {
    const { port, sockets } = await serveBoth(t)
    const { source, dispatcher } = makeMesh(t)
    const fetch = createFetch(dispatcher)
    const targets = { b: makeTarget([makeVirtualHost([makeRoute('b')])]) }
    const tlsMatches = [
      { criteria: { tlsMode: 'istio' }, tls },
      { criteria: {}, tls: undefined },
    ]
    let step = 0
    const call = async (transportSocketMatch: Readonly<Record<string, string>> | undefined) => {
      const commonLb = {
        healthyPanicThreshold: 50 + (change.startsWith('another') ? step++ : 0),
        failTrafficOnPanic: false,
        localityWeighted: false,
      }
      source.set({ targets, clusters: [makeCluster('b', [{ port, transportSocketMatch }], { tlsMatches, commonLb })] })
      const answer = await (await fetch('http://b/')).text()
      await setImmediate()
      return answer
    }
    assert.equal(await call(undefined), 'plaintext')
    assert.equal(await call({ tlsMode: 'istio' }), 'TLS')
    await until(() => sockets.size === 1)
    const [used] = sockets
    assert.equal(await call({ tlsMode: 'istio' }), 'TLS')
    assert.deepEqual([...sockets], [used], 'what did not change keeps its connections')
    assert.equal(await call({ tlsMode: 'disabled' }), 'plaintext')
    await until(() => sockets.size === 1)
  })
