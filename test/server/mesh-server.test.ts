import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage, type RequestListener, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { withinDeadlineMs } from '../../src/policies/timeout.ts'
import { Inbound } from '../../src/server/inbound.ts'
import { createMeshServer, type ListeningWorkload } from '../../src/server/mesh-server.ts'
import { workloadAddress } from '../../src/server/workload-address.ts'
import { MeshTelemetry } from '../../src/telemetry/create-telemetry.ts'
import { currentScope } from '../../src/telemetry/request-scope.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
const call = { isGrpc: false, method: 'GET', scheme: 'http', authority: 'b', path: '/', startedAtWall: 0 }

async function start(t: TestContext, app: RequestListener | ((...args: Parameters<RequestListener>) => Promise<void>)) {
  const clock = new ManualClock()
  const telemetry = new MeshTelemetry({ service: 'a', runtime: { clock, random: seededRandom(1) } })
  const inbound = new Inbound(telemetry)
  const told: string[] = []
  const errors: unknown[] = []
  const registrar = {
    register: ({ address, port }: ListeningWorkload) => told.push(`register ${address}:${port}`),
    deregister: ({ address, port }: ListeningWorkload) => told.push(`deregister ${address}:${port}`),
  }
  const listener: RequestListener = (request, response) => app(request, response)
  const server = createMeshServer(listener, { inbound, clock, registrar, gate: null, address: undefined }, error =>
    errors.push(error),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true })
  t.after(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  const fetch = async (headers: Record<string, string> = {}): Promise<{ response: IncomingMessage; body: string }> => {
    const [response] = await once(get({ port, host: '127.0.0.1', agent, headers }), 'response')
    return { response, body: await text(response) }
  }
  return { server, clock, telemetry, inbound, told, errors, port, fetch, address: `127.0.0.1:${port}` }
}

describe('requests', () => {
  test('run inside their trace, also where the body arrives', async t => {
    const { port, telemetry } = await start(t, (request, response) => {
      let body = ''
      request.on('data', chunk => {
        body += `${chunk} ${telemetry.startSpan(call)?.traceparent}`
      })
      request.on('end', () => response.end(`${body} ${telemetry.startSpan(call)?.traceparent}`))
    })
    const sent = send({ port, host: '127.0.0.1', method: 'POST', headers: { traceparent } })
    sent.end('x')
    const [response] = await once(sent, 'response')
    assert.equal(await text(response), `x ${traceparent} ${traceparent}`)
  })

  test('C4: have the deadline that their caller tells, which only ever shortens what is done for them', async t => {
    const seen: number[] = []
    const { fetch, clock } = await start(t, (_, response) => {
      seen.push(currentScope()?.deadlineAt ?? 0)
      response.end()
    })
    clock.advance(1_000)
    const longest = '9'.repeat(15)
    const malformed = ['', '0', '-1', '1.5', '0x10', '1e3', ' 7 x', 'Infinity', 'NaN', '1, 2', '9'.repeat(400)]
    for (const value of ['250', longest, ...malformed]) await fetch({ 'x-envoy-expected-rq-timeout-ms': value })
    await fetch()
    assert.deepEqual(seen, [1_250, 1_000 + Number(longest), ...malformed.map(() => 0), 0])
    const routeMs = 15_000
    for (const deadlineAt of seen) {
      const remainingMs = deadlineAt === 0 ? undefined : deadlineAt - clock.now()
      assert.ok(withinDeadlineMs(routeMs, remainingMs) <= routeMs)
    }
  })

  test('have a deadline for the calls made for them, and none for what goes on after their answer', async t => {
    const { telemetry, fetch } = await start(t, (_, response) => {
      within = AsyncLocalStorage.snapshot()
      seen.push(telemetry.deadlineAt())
      response.end()
    })
    let within = AsyncLocalStorage.snapshot()
    const seen: number[] = []
    await fetch({ traceparent, 'x-envoy-expected-rq-timeout-ms': '250' })
    await until(() => telemetry.stats.inbound.active === 0)
    within(() => {
      assert.equal(telemetry.startSpan(call)?.traceparent, traceparent)
      seen.push(telemetry.deadlineAt())
    })
    assert.deepEqual(seen, [250, 0])
  })

  test('are counted when they end', async t => {
    const { telemetry, fetch } = await start(t, (_, response) => void response.writeHead(404).end())
    await fetch()
    await until(() => telemetry.stats.inbound.active === 0)
    const [cell] = telemetry.stats.inbound.cells
    assert.equal(cell?.attributes['http.response.status_code'], 404)
    assert.equal(cell?.durationS.count, 1)
  })

  const failing = {
    throws: () => {
      throw new Error('broken')
    },
    rejects: async () => {
      await setImmediate()
      throw new Error('broken')
    },
  }
  for (const [how, app] of Object.entries(failing)) {
    test(`are answered with 500 when the application ${how}, and are over`, async t => {
      const { telemetry, errors, fetch } = await start(t, app)
      const { response } = await fetch()
      assert.equal(response.statusCode, 500)
      await until(() => telemetry.stats.inbound.active === 0)
      assert.deepEqual(errors.map(String), ['Error: broken'])
      const [cell] = telemetry.stats.inbound.cells
      assert.equal(cell?.attributes['error.type'], '500')
    })
  }

  test('end when the caller goes away, and what is written then does no harm', async t => {
    let finish = () => {}
    const { telemetry, port } = await start(t, (_, response) => {
      response.write('half')
      finish = () => void response.end('other half')
    })
    const sent = get({ port, host: '127.0.0.1' })
    const [response] = await once(sent, 'response')
    response.on('error', () => {})
    sent.destroy()
    await until(() => telemetry.stats.inbound.active === 0)
    finish()
    await setImmediate()
    const [cell] = telemetry.stats.inbound.cells
    assert.equal(cell?.attributes['error.type'], 'aborted')
  })

  test('stay alive longer on an idle connection than clients keep it', async t => {
    const { server } = await start(t, (_, response) => void response.end())
    assert.ok(server.keepAliveTimeout >= 75_000)
  })
})

describe('drain', () => {
  test('leaves the mesh, waits for that to be known, then stops accepting, finishes what is in flight and closes', async t => {
    let finish = () => {}
    const app = await start(t, (request, response) => {
      if (request.headers['x-slow'] === undefined) response.end('fast')
      else finish = () => void response.end('slow')
    })
    const slow = app.fetch({ 'x-slow': '1' })
    await until(() => app.telemetry.stats.inbound.active === 1)
    assert.deepEqual(app.told, [`register ${app.address}`])

    const drained = app.server.drain({ propagationMs: 1000, deadlineMs: 5000 })
    assert.deepEqual(app.told.slice(1), [`deregister ${app.address}`])
    const late = await app.fetch()
    assert.equal(late.body, 'fast', 'those who have not heard of it are still served')
    assert.equal(app.server.listening, true)

    await app.clock.advanceAsync(1000)
    assert.equal(app.server.listening, false)
    await assert.rejects(once(get({ port: app.port, host: '127.0.0.1' }), 'response'), { code: 'ECONNREFUSED' })
    finish()
    const { response, body } = await slow
    assert.equal(body, 'slow')
    assert.equal(response.statusCode, 200)
    await drained
    assert.equal(app.clock.pendingTimers, 0)
  })

  test('asks for the connection to be closed in what it answers from then on', async t => {
    const { inbound, fetch } = await start(t, (_, response) => void response.end())
    assert.equal((await fetch()).response.headers.connection, 'keep-alive')
    inbound.drain()
    assert.equal((await fetch()).response.headers.connection, 'close')
  })

  test('asks it of all that is in flight, whichever of them was answered before', async t => {
    const answers = new Map<string, () => void>()
    const { inbound, fetch } = await start(t, (request, response) => {
      answers.set(String(request.headers['x-name']), () => void response.end())
    })
    const calls = new Map<string, ReturnType<typeof fetch>>()
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      calls.set(name, fetch({ 'x-name': name }))
      await until(() => answers.has(name))
    }
    const answer = async (name: string) => {
      answers.get(name)?.()
      return (await calls.get(name))?.response.headers.connection
    }
    for (const name of ['c', 'a']) assert.equal(await answer(name), 'keep-alive', name)
    inbound.drain()
    for (const name of ['b', 'd', 'e']) assert.equal(await answer(name), 'close', name)
  })

  test('does not wait for ever', async t => {
    const app = await start(t, () => {})
    const never = app.fetch().catch(error => error.code)
    await until(() => app.telemetry.stats.inbound.active === 1)
    const drained = app.server.drain({ propagationMs: 0, deadlineMs: 5000 })
    await app.clock.advanceAsync(1)
    app.clock.advance(5000)
    await drained
    assert.equal(await never, 'ECONNRESET')
    await until(() => app.telemetry.stats.inbound.active === 0)
  })

  test('does not wait for connections that were upgraded', async t => {
    const app = await start(t, () => {})
    app.server.on('upgrade', (_request, socket: Duplex) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n')
    })
    const sent = send({ port: app.port, host: '127.0.0.1', headers: { connection: 'upgrade', upgrade: 'chat' } })
    sent.end()
    const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, Duplex]
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    const drained = app.server.drain({ propagationMs: 0, deadlineMs: 5000 })
    await app.clock.advanceAsync(1)
    await app.clock.advanceAsync(4999)
    assert.equal(socket.destroyed, false)
    app.clock.advance(1)
    await drained
  })

  test('may be asked for twice, and after the application closed the server itself', async t => {
    const app = await start(t, (_, response) => void response.end())
    app.server.close()
    await once(app.server, 'close')
    assert.deepEqual(app.told.slice(1), [`deregister ${app.address}`])
    await Promise.all([app.server.drain(), app.server.drain()])
    assert.equal(app.told.length, 2)
  })
})

test('a workload is registered where others reach it', () => {
  const bound = (address: string): AddressInfo => ({ address, family: 'IPv4', port: 1 })
  assert.equal(workloadAddress(bound('10.0.0.1'), undefined), '10.0.0.1')
  assert.equal(workloadAddress(bound('0.0.0.0'), '10.0.0.2'), '10.0.0.2')
  assert.match(workloadAddress(bound('0.0.0.0'), ''), /^\d+\.\d+\.\d+\.\d+$/)
  assert.notEqual(workloadAddress(bound('::'), undefined), '0.0.0.0')
})
