import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { startUpstream } from './support/http-upstream.ts'
import { startRegisteredApp, staticConfig } from './support/registered-app.ts'
import { until } from './support/until.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

function configFile(t: TestContext, ports: Readonly<Record<string, number>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-register-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'mesh.json')
  writeFileSync(path, staticConfig(ports))
  return path
}

async function call(port: string, headers: Record<string, string> = {}): Promise<{ status: number | undefined; body: string }> {
  const [response] = await once(get({ port, host: '127.0.0.1', headers }), 'response')
  return { status: response.statusCode, body: await text(response) }
}

/** Calls b from inside of a body's event, where a context is easily lost. */
const server = `
  import { createServer } from 'node:http'
  const server = createServer((request, response) => {
    request.resume().on('end', async () => {
      const answer = await fetch('http://b/from-a')
      response.writeHead(answer.status).end(await answer.text())
    })
  })
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
`

describe('node --import inmesh/register', () => {
  test('sends the calls of an unchanged application through the mesh, in the trace of the request they serve', async t => {
    const upstream = await startUpstream(t, ({ headers }, response) => response.end(headers.traceparent))
    const app = startRegisteredApp(t, server, { INMESH_STATIC_CONFIG: configFile(t, { b: upstream.port }), INMESH_SERVICE: 'a' })
    const answer = await call(await app.firstLine, { traceparent, tracestate: 'v=1', baggage: 'k=v' })
    assert.deepEqual(answer, { status: 200, body: traceparent })
    assert.equal(upstream.seen[0]?.headers.tracestate, 'v=1')
    assert.equal(upstream.seen[0]?.headers.baggage, 'k=v')
    assert.equal(app.output().split('\n').length, 2, 'nothing is printed but what the application prints')
  })

  test('lets a program that has run to its end end', async t => {
    const upstream = await startUpstream(t)
    const env = { INMESH_STATIC_CONFIG: configFile(t, { b: upstream.port }) }
    const app = startRegisteredApp(t, `console.log(await (await fetch('http://b/')).text())`, env)
    assert.equal(await app.firstLine, String(upstream.port))
    assert.equal(await app.exit, 0)
  })

  test('does nothing when it is switched off', async t => {
    const app = startRegisteredApp(t, `fetch('http://b.invalid/').catch(error => console.log(error.cause.code))`, {
      INMESH_DISABLED: '1',
    })
    assert.match(await app.firstLine, /ENOTFOUND|EAI_AGAIN/)
  })

  test('says what is missing when there is no configuration at all', async t => {
    const app = startRegisteredApp(t, '', {})
    assert.notEqual(await app.exit, 0)
    assert.match(app.output(), /INMESH_CONTROL_PLANE/)
  })

  test('drains on SIGTERM, and ends as the signal would have ended it', async t => {
    const upstream = await startUpstream(t)
    const app = startRegisteredApp(t, server, { INMESH_STATIC_CONFIG: configFile(t, { b: upstream.port }) })
    const port = await app.firstLine
    app.child.kill('SIGTERM')
    assert.equal((await call(port)).status, 200, 'others may not have heard yet that it leaves')
    assert.equal(await app.exit, 'SIGTERM')
  })

  test('ends on SIGTERM also while a call of its own has no end', async t => {
    const upstream = await startUpstream(t, (_request, response) => void response.write('more'))
    const config = configFile(t, { b: upstream.port })
    writeFileSync(config, staticConfig({ b: upstream.port }).replace('"retry_policy"', '"timeout":"0s","retry_policy"'))
    const endless = `
      const { body } = await fetch('http://b/')
      for await (const chunk of body) console.log(chunk.length)
    `
    const app = startRegisteredApp(t, endless, { INMESH_STATIC_CONFIG: config })
    assert.equal(await app.firstLine, '4')
    app.child.kill('SIGTERM')
    assert.equal(await app.exit, 'SIGTERM')
  })

  test('leaves the signal to an application that handles it', async t => {
    const upstream = await startUpstream(t)
    const handler = `process.on('SIGTERM', () => process.exit(7))`
    const app = startRegisteredApp(t, server + handler, { INMESH_STATIC_CONFIG: configFile(t, { b: upstream.port }) })
    await app.firstLine
    app.child.kill('SIGTERM')
    assert.equal(await app.exit, 7)
  })

  test('leaves an error that the application throws what it was, and answers its caller', async t => {
    const upstream = await startUpstream(t)
    const throwing = `
      import { createServer } from 'node:http'
      process.on('uncaughtException', error => console.log(error.message))
      const server = createServer(() => { throw new Error('broken') })
      server.listen(0, '127.0.0.1', () => console.log(server.address().port))
    `
    const app = startRegisteredApp(t, throwing, { INMESH_STATIC_CONFIG: configFile(t, { b: upstream.port }) })
    assert.equal((await call(await app.firstLine)).status, 500)
    await until(() => app.output().includes('\nbroken\n'))
  })

  test('does not hold up calls when nobody takes what is exported', async t => {
    const upstream = await startUpstream(t)
    const app = startRegisteredApp(t, server, {
      INMESH_STATIC_CONFIG: configFile(t, { b: upstream.port }),
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_BSP_SCHEDULE_DELAY: '10',
      OTEL_METRIC_EXPORT_INTERVAL: '50',
      OTEL_LOG_LEVEL: 'none',
    })
    const port = await app.firstLine
    for (let calls = 0; calls < 20; calls++) assert.equal((await call(port)).status, 200)
  })
})
