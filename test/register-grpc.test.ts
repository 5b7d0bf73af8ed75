import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { startGrpcBackend } from './support/grpc-backend.ts'
import { startRegisteredApp, staticConfig } from './support/registered-app.ts'

const loads = {
  'an ES module': "import * as grpc from '@grpc/grpc-js'",
  CommonJS: "import { createRequire } from 'node:module'\nconst grpc = createRequire(process.cwd() + '/x.js')('@grpc/grpc-js')",
}

const client = `
const bytes = value => value
const method = { path: '/test.Echo/Unary', requestStream: false, responseStream: false,
  requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes }
const Echo = grpc.makeClientConstructor({ Unary: method }, 'Echo')
const call = (target, metadata = new grpc.Metadata()) => new Promise(resolve => {
  const client = new Echo(target, grpc.credentials.createInsecure())
  client.Unary(Buffer.from('hello'), metadata, { deadline: Date.now() + 20000 }, (error, reply) => {
    resolve(error ? error.details : String(reply))
    client.close()
  })
})
`

function configFile(t: TestContext, ports: Readonly<Record<string, number>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-register-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'mesh.json')
  writeFileSync(path, staticConfig(ports))
  return path
}

describe('inmesh/register and grpc-js', () => {
  for (const [name, load] of Object.entries(loads)) {
    test(`the clients of ${name} that was never changed call through the mesh`, async t => {
      const backend = await startGrpcBackend(t)
      const outside = await startGrpcBackend(t)
      const app = startRegisteredApp(
        t,
        `${load}
        ${client}
        console.log(JSON.stringify([await call('xds:///ratings'), await call('ratings'), await call('127.0.0.1:${outside.port}'), await call('ipv4:127.0.0.1:${outside.port}')]))`,
        { INMESH_STATIC_CONFIG: configFile(t, { ratings: backend.port }), INMESH_HOSTS: 'ratings' },
      )
      assert.equal(await app.firstLine, '["hello","hello","hello","hello"]')
      assert.deepEqual(
        backend.seen.map(({ authority }) => authority),
        ['ratings', 'ratings'],
      )
      assert.equal(outside.seen.length, 2)
      assert.equal(await app.exit, 0)
    })
  }

  test('a server continues the trace that came in', async t => {
    const backend = await startGrpcBackend(t)
    const app = startRegisteredApp(
      t,
      `${loads['an ES module']}
      ${client}
      const server = new grpc.Server()
      server.addService({ Unary: method }, {
        Unary: (call, callback) => setImmediate(() => inner().then(reply => callback(null, Buffer.from(reply)))),
      })
      const inner = () => call('xds:///ratings')
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), async (error, port) => {
        const metadata = new grpc.Metadata()
        metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
        console.log(await call('127.0.0.1:' + port, metadata))
        server.forceShutdown()
      })`,
      { INMESH_STATIC_CONFIG: configFile(t, { ratings: backend.port }), INMESH_HOSTS: 'ratings' },
    )
    assert.equal(await app.firstLine, 'hello')
    assert.match(String(backend.seen[0]?.metadata.get('traceparent')[0]), /^00-0af7651916cd43dd8448eb211c80319c-/)
  })

  test('nothing of grpc-js is loaded for an application without it', async t => {
    const app = startRegisteredApp(
      t,
      `import { createRequire } from 'node:module'
      console.log(Object.keys(createRequire(process.cwd() + '/x.js').cache).filter(name => name.includes('grpc-js')).length)`,
      { INMESH_STATIC_CONFIG: configFile(t, {}) },
    )
    assert.equal(await app.firstLine, '0')
  })
})
