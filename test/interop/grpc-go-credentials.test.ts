import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { status as codes, Server } from '@grpc/grpc-js'
import type { Mesh } from '../../src/index.ts'
import { freePorts } from '../support/free-ports.ts'
import { startSecureMesh, trustDomain } from '../support/secure-mesh.ts'
import { startGoXdsServer } from './support/go-xds-server.ts'
import { secureBootstrap } from './support/other-workload.ts'
import { inProcess, startClient, type XdsClient } from './support/xds-client.ts'

const spiffeId = (account: string) => `spiffe://${trustDomain}/ns/default/sa/${account}`

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`
const onlyFor = (app: string, account: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: only-${account} }
spec:
  selector: { matchLabels: { app: ${app} } }
  rules: [{ from: [{ source: { principals: [${trustDomain}/ns/default/sa/${account}] } }] }]
`
/** A gRPC client has no automatic TLS: a rule says it. */
const mutual = (host: string) => `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: mutual }
spec: { host: ${host}, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
`
/** A service whose endpoint is a workload that does not register itself. */
const listed = (name: string, port: number) => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${port} } }]
`

/** Serves the method `/test.Echo/Who`, which answers who calls, until the test ends. */
async function serve(t: TestContext, mesh: Mesh): Promise<number> {
  const server = new Server()
  const text = (value: string) => Buffer.from(value)
  const read = (value: Buffer) => value.toString()
  const who = {
    path: '/test.Echo/Who',
    requestStream: false,
    responseStream: false,
    requestSerialize: text,
    requestDeserialize: read,
    responseSerialize: text,
    responseDeserialize: read,
  }
  server.addService(
    { Who: who },
    {
      Who(call: import('@grpc/grpc-js').ServerUnaryCall<string, string>, callback: (error: null, reply: string) => void) {
        callback(null, /URI=([^;,]*)/.exec(String(call.metadata.get('x-forwarded-client-cert')))?.[1] ?? 'nobody')
      },
    },
  )
  const { port } = await mesh.serveGrpc(server, { host: '127.0.0.1' })
  t.after(() => server.forceShutdown())
  return port
}

/** What a client is answered, with the name of the status where there is no reply. */
async function ask(t: TestContext, client: XdsClient, target: string): Promise<{ said: string; message: string }> {
  t.after(() => client.close())
  const call = { id: 'x', target, method: '/test.Echo/Who', metadata: {}, deadlineMs: 10_000 }
  const [answer] = await client.make([call], 1)
  assert.ok(answer)
  return { said: answer.code === 0 ? answer.reply : String(codes[answer.code]), message: answer.message }
}

for (const name of ['grpc-go', 'grpcio'] as const)
  describe(`${name} with xDS credentials calls our server`, () => {
    const clientOf = async (t: TestContext, world: Awaited<ReturnType<typeof startSecureMesh>>, account: string) =>
      startClient[name](await secureBootstrap(t, world.secure, { spiffeId: spiffeId(account) }))

    test('the right identity is let in and known, another one is denied', async t => {
      const world = await startSecureMesh(t, strict + onlyFor('echo', 'gopher') + mutual('echo'))
      const port = await serve(t, await world.join('echo'))
      const target = `xds:///echo:${port}`
      const { said, message } = await ask(t, await clientOf(t, world, 'gopher'), target)
      assert.equal(said, spiffeId('gopher'), message)
      const other = await ask(t, await clientOf(t, world, 'stranger'), target)
      assert.deepEqual(other, { said: 'PERMISSION_DENIED', message: 'RBAC: access denied' })
    })

    test('in plain text nobody is let in', async t => {
      const world = await startSecureMesh(t, strict)
      const port = await serve(t, await world.join('echo'))
      const { said } = await ask(t, await clientOf(t, world, 'gopher'), `xds:///echo:${port}`)
      assert.equal(said, 'UNAVAILABLE')
    })

    test('a server of another identity is not spoken to', async t => {
      const world = await startSecureMesh(t, strict)
      const port = await serve(t, await world.join('impostor'))
      world.write(strict + listed('echo', port) + mutual('echo.test'))
      const { said, message } = await ask(t, await clientOf(t, world, 'gopher'), 'xds:///echo.test')
      assert.equal(said, 'UNAVAILABLE', message)
    })
  })

describe('our client calls a server of grpc-go with xDS credentials', () => {
  async function start(t: TestContext, { account = 'gopher', yaml = '' } = {}) {
    const [port = 0] = await freePorts(1)
    const world = await startSecureMesh(t, strict + listed('gopher', port) + yaml)
    const labels = { app: 'gopher' }
    await startGoXdsServer(t, await secureBootstrap(t, world.secure, { spiffeId: spiffeId(account), labels }), port)
    return world
  }

  test('the right identity is let in and known, another one is denied', async t => {
    const world = await start(t, { yaml: mutual('gopher.test') + onlyFor('gopher', 'page') })
    const page = await ask(t, inProcess(await world.join('page')), 'xds:///gopher.test')
    assert.equal(page.said, spiffeId('page'), page.message)
    const other = await ask(t, inProcess(await world.join('other')), 'xds:///gopher.test')
    assert.equal(other.said, 'PERMISSION_DENIED')
  })

  test('in plain text nobody is let in', async t => {
    const world = await start(t)
    assert.equal((await ask(t, inProcess(await world.join('page')), 'xds:///gopher.test')).said, 'UNAVAILABLE')
  })

  test('a server of another identity is not spoken to', async t => {
    const world = await start(t, { account: 'impostor', yaml: mutual('gopher.test') })
    const { said, message } = await ask(t, inProcess(await world.join('page')), 'xds:///gopher.test')
    assert.equal(said, 'UNAVAILABLE')
    assert.match(message, /impostor/)
  })
})
