import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, mock, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { clientTls, gateEnvironment, plain, requestOn, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, modes } from '../support/inbound-model.ts'
import { enforce, exact, path, policy } from '../support/rbac-rules.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'
import { until } from '../support/until.ts'

const authority = await SvidAuthority.create('td')
const identity = await authority.identity('/server')
const filters = [{ name: 'rbac', config: { kind: 'rbac' as const, rbac: enforce('DENY', policy(path(exact('/no')))) } }]
const denied = ['GET /no HTTP/1.1', 'CONNECT a:80 HTTP/1.1'].map(
  line => `${line}\r\nhost: ${line.startsWith('CONNECT') ? 'a:80' : 'a'}\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n`,
)

async function start(t: TestContext, tls: boolean) {
  const started = await startGated(t, (_request, response) => response.end('served'), identity)
  // Without somebody who takes them they are no upgrades.
  for (const event of ['upgrade', 'connect']) started.server.on(event, (_request, socket: Socket) => socket.destroy())
  started.source.setInbound('server', inboundState(...(tls ? modes.STRICT({ filters }) : [makeChain({ filters })])))
  return started
}

const connections = (server: Server) =>
  new Promise<number>((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  )

describe('a connection on which an upgrade is denied', () => {
  for (const tls of [false, true]) {
    const over = tls ? 'over TLS' : 'in plaintext'
    const open = async (t: TestContext, port: number): Promise<Socket> => {
      const half = { allowHalfOpen: true }
      if (tls) return secured(t, port, { ...clientTls(await authority.identity('/client'), identity), ...half })
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      t.after(() => socket.destroy())
      await once(socket, 'connect')
      return socket
    }

    test(`is closed, be it that its caller never hangs up, ${over}`, async t => {
      const { server, port } = await start(t, tls)
      for (const request of denied) {
        const caller = await open(t, port)
        caller.on('error', () => {})
        caller.write(request)
        assert.match(await text(caller), /^HTTP\/1\.1 (403 Forbidden|400 Bad Request)\r\nconnection: close\r\n/)
        await until(async () => (await connections(server)) === 0)
      }
    })

    test(`may be reset by its caller at any moment, ${over}`, async t => {
      const { server, port } = await start(t, tls)
      for (const request of denied)
        for (let round = 0; round < 20; round++) {
          const caller = await open(t, port)
          caller.on('error', () => {})
          caller.write(request)
          if (round % 2 === 1) await setImmediate()
          if (tls) caller.destroy()
          else caller.resetAndDestroy()
        }
      await until(async () => (await connections(server)) === 0)
      const next = tls ? await secured(t, port, clientTls(await authority.identity('/client'), identity)) : await plain(t, port)
      assert.equal((await requestOn(next)).body, 'served')
    })
  }
})

test('a request is judged once by each mesh of the process that serves it, however often it passes there', async t => {
  const inner = gateEnvironment(identity)
  const outer = await startGated(
    t,
    (request, response) => {
      const { inbound } = outer.environment
      inbound.serve(request, response, () =>
        inner.environment.inbound.serve(request, response, () => inbound.serve(request, response, () => response.end('served'))),
      )
    },
    identity,
  )
  outer.source.setInbound('server', inboundState(makeChain({ filters })))
  const judges = [outer, inner].map(({ environment: { gate } }) => {
    assert.ok(gate)
    return mock.method(gate.requests, 'judge')
  })
  assert.equal((await requestOn(await plain(t, outer.port), '/yes')).body, 'served')
  assert.deepEqual(
    judges.map(judge => judge.mock.callCount()),
    [1, 1],
  )
})
