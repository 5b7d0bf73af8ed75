import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:http2'
import { describe, type TestContext, test } from 'node:test'
import { type RegisteredApp, startRegisteredApp } from '../support/registered-app.ts'
import { startSecureMesh, trustDomain } from '../support/secure-mesh.ts'

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`

const grpcMethod = `
  import * as grpc from '@grpc/grpc-js'
  const bytes = value => value
  const method = { path: '/test.Echo/Unary', requestStream: false, responseStream: false,
    requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes }
`

/** Each answers with who it says has called. */
const servers = {
  http: `
    import { createServer } from 'node:http'
    const server = createServer((request, response) => response.end(String(request.headers['x-forwarded-client-cert'])))
    server.listen(0, '127.0.0.1', () => console.log(server.address().port))
  `,
  http2: `
    import { createServer } from 'node:http2'
    const server = createServer((request, response) => response.end(String(request.headers['x-forwarded-client-cert'])))
    server.listen(0, '127.0.0.1', () => console.log(server.address().port))
  `,
  grpc: `
    ${grpcMethod}
    const server = new grpc.Server()
    server.addService({ Unary: method }, {
      Unary: (call, callback) => callback(null, Buffer.from(String(call.metadata.get('x-forwarded-client-cert')))),
    })
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => console.log(port))
  `,
}

/** Calls each server once, and prints what they said and what the agent's spans were. */
const client = `
  ${grpcMethod}
  const Echo = grpc.makeClientConstructor({ Unary: method }, 'Echo')
  const echo = new Echo('xds:///grpc', grpc.credentials.createInsecure())
  const answers = {
    http: await (await fetch('http://http/')).text(),
    http2: await (await fetch('http://http2/')).text(),
    grpc: await new Promise((resolve, reject) => echo.Unary(Buffer.alloc(1), new grpc.Metadata(), { deadline: Date.now() + 30_000 },
      (error, reply) => error ? reject(error) : resolve(String(reply)))),
  }
  console.log(JSON.stringify({ answers, spans: globalThis.agentSpans().length }))
`

const agent = ['--import', new URL('../support/otel-agent.mjs', import.meta.url).href]
const orders = {
  before: (t: TestContext, source: string, env: Readonly<Record<string, string>>) =>
    startRegisteredApp(t, source, env, [], agent),
  after: (t: TestContext, source: string, env: Readonly<Record<string, string>>) => startRegisteredApp(t, source, env, agent),
}

/** Whether somebody without a certificate, who goes around the mesh, is answered. */
const strangers: Readonly<Record<keyof typeof servers, (port: number) => Promise<boolean>>> = {
  http: async port => {
    const sent = request({ port, host: '127.0.0.1', agent: false }).end()
    return isAnswered(sent, sent)
  },
  http2: strangerOfHttp2,
  grpc: strangerOfHttp2,
}

async function strangerOfHttp2(port: number): Promise<boolean> {
  const session = connect(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':path': '/test.Echo/Unary', ':method': 'POST', 'content-type': 'application/grpc' })
  stream.on('error', () => {})
  stream.end(Buffer.alloc(5))
  try {
    return await isAnswered(stream, session)
  } finally {
    session.destroy()
  }
}

async function isAnswered(sent: NodeJS.EventEmitter, connection: NodeJS.EventEmitter): Promise<boolean> {
  const answered = once(sent, 'response').then(() => true)
  const closed = once(connection, 'close').then(() => false)
  return Promise.race([answered, closed].map(each => each.catch(() => false)))
}

describe('H8: what instrumentation patches does not go around the mesh', () => {
  for (const [order, start] of Object.entries(orders))
    test(`loaded ${order} it, every call and every server has its mutual TLS`, async t => {
      const { secure } = await startSecureMesh(t, strict)
      const environment = async (service: string) => {
        const { bearer } = await secure.tokens.create(`spiffe://${trustDomain}/ns/default/sa/${service}`, secure.authority.pin)
        return {
          INMESH_CONTROL_PLANE: secure.address,
          INMESH_JOIN_TOKEN: bearer,
          INMESH_ADDRESS: '127.0.0.1',
          INMESH_HOSTS: 'http,http2,grpc',
          INMESH_SERVICE: service,
        }
      }
      const apps = new Map<string, RegisteredApp>()
      for (const [name, source] of Object.entries(servers)) apps.set(name, start(t, source, await environment(name)))
      for (const [name, app] of apps) {
        const port = Number(await app.firstLine)
        const isLetIn = await strangers[name as keyof typeof servers](port)
        assert.equal(isLetIn, false, `a stranger is answered by ${name}`)
      }
      const page = start(t, client, await environment('page'))
      const { answers, spans } = JSON.parse(await page.firstLine)
      for (const [name, answer] of Object.entries(answers))
        assert.match(String(answer), new RegExp(`URI=spiffe://${trustDomain}/ns/default/sa/page`), name)
      assert.ok(spans >= 3, `the agent has seen ${spans} calls`)
      assert.equal(await page.exit, 0)
    })
})
