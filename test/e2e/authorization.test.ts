import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type RequestListener, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import type { Mesh } from '../../src/index.ts'
import { startSecureMesh } from '../support/secure-mesh.ts'
import { until } from '../support/until.ts'

async function serve(t: TestContext, mesh: Mesh, app: RequestListener): Promise<number> {
  const server = mesh.createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const policy = (name: string, spec: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name} }
spec: ${spec}
`

const onlyPage = policy('only-page', "{ rules: [{ from: [{ source: { principals: ['mesh.test/ns/default/sa/page'] } }] }] }")

interface Answer {
  readonly status: number
  readonly body: string
}

async function get(mesh: Mesh, url: string, init?: RequestInit): Promise<Answer> {
  const response = await mesh.fetch(url, init)
  return { status: response.status, body: await response.text() }
}

/** A request that comes around the mesh, byte for byte. */
async function direct(port: number, path: string, headers: readonly string[] = [], method = 'GET'): Promise<Answer> {
  const sent = send({ port, host: '127.0.0.1', path, method, headers: ['host', 'a', ...headers], agent: false })
  sent.end()
  const [response] = await once(sent, 'response')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, body }
}

const denied = { status: 403, body: 'RBAC: access denied' }
const echo: RequestListener = (request, response) => response.end(request.url)

describe('AuthorizationPolicy', () => {
  test('a workload with the wrong identity is refused, the right one served', async t => {
    const world = await startSecureMesh(t, onlyPage)
    const port = await serve(t, await world.join('reviews'), echo)
    const [page, other] = [await world.join('page'), await world.join('other')]
    assert.deepEqual(await get(page, 'http://reviews/x'), { status: 200, body: '/x' })
    assert.deepEqual(await get(other, 'http://reviews/x'), denied)
    assert.deepEqual(await direct(port, '/'), denied, 'B5: without an identity')
  })

  test('B2: DENY goes before ALLOW; B3: without a match there is no way in; switched live', async t => {
    const allow = policy('allow', '{ rules: [{ to: [{ operation: { methods: [GET] } }] }] }')
    const deny = policy('deny', "{ action: DENY, rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }] }")
    const world = await startSecureMesh(t, allow + deny)
    await serve(t, await world.join('reviews'), echo)
    const page = await world.join('page')
    assert.equal((await get(page, 'http://reviews/x')).status, 200)
    assert.deepEqual(await get(page, 'http://reviews/admin/x'), denied)
    assert.deepEqual(await get(page, 'http://reviews/x', { method: 'POST' }), denied)
    world.write(allow)
    await until(async () => (await get(page, 'http://reviews/admin/x')).status === 200)
  })

  test('an ALLOW without rules allows nothing; B1', async t => {
    const world = await startSecureMesh(t, policy('nothing', '{}'))
    await serve(t, await world.join('reviews'), echo)
    assert.deepEqual(await get(await world.join('page'), 'http://reviews/'), denied)
  })

  test('a policy is for whom it selects, by labels and by namespace', async t => {
    const yaml =
      policy('selected', '{ selector: { matchLabels: { app: reviews } } }') +
      policy('elsewhere', '{}').replace('name: elsewhere', 'name: elsewhere, namespace: shop')
    const world = await startSecureMesh(t, yaml)
    await serve(t, await world.join('reviews'), echo)
    await serve(t, await world.join('ratings'), echo)
    const page = await world.join('page')
    assert.deepEqual(await get(page, 'http://reviews/'), denied)
    assert.equal((await get(page, 'http://ratings/')).status, 200)
  })

  test('a policy that comes later is for whom it selects, though no label made a difference before', async t => {
    const world = await startSecureMesh(t, '')
    for (const service of ['reviews', 'ratings']) await serve(t, await world.join(service), echo)
    const page = await world.join('page')
    for (const service of ['reviews', 'ratings']) assert.equal((await get(page, `http://${service}/`)).status, 200)
    world.write(policy('selected', '{ selector: { matchLabels: { app: reviews } } }'))
    await until(async () => (await get(page, 'http://reviews/')).status === 403)
    assert.equal((await get(page, 'http://ratings/')).status, 200)
    world.write('')
    await until(async () => (await get(page, 'http://reviews/')).status === 200)
  })

  test('B12: a repeated header is compared value by value', async t => {
    const deny = "{ action: DENY, rules: [{ when: [{ key: 'request.headers[x-role]', values: [admin] }] }] }"
    const world = await startSecureMesh(t, policy('deny', deny))
    const port = await serve(t, await world.join('reviews'), echo)
    for (const headers of [
      ['x-role', 'admin'],
      ['X-Role', 'user', 'x-role', 'admin'],
      ['x-role', 'admin', 'x-role', 'user'],
      ['x-role', 'user, admin'],
      ['x-role', 'user,admin'],
    ])
      assert.deepEqual(await direct(port, '/', headers), denied, headers.join(' '))
    assert.equal((await direct(port, '/', ['x-role', 'user'])).status, 200)
  })

  test('B8, B9, B10, B11: what cannot be judged is a bad request', async t => {
    const world = await startSecureMesh(t, policy('all', '{ rules: [{}] }'))
    const port = await serve(t, await world.join('reviews'), echo)
    const cases: readonly (readonly [string, readonly string[], string?])[] = [
      ['http://evil/admin', []],
      ['/', ['host', 'b']],
      ['/', ['authorization', 'Bearer a', 'authorization', 'Bearer b']],
      ['/a%2fb', []],
      ['*', []],
      ['/', ['transfer-encoding', 'identity, chunked'], 'POST'],
    ]
    for (const [path, headers, method] of cases) {
      const { status } = await direct(port, path, headers, method)
      assert.equal(status, 400, `${path} ${headers.join(' ')}`)
    }
    assert.deepEqual(
      await direct(port, 'http://a/x/../y?z=1'),
      { status: 200, body: '/y?z=1' },
      'the application sees what was judged',
    )
  })

  test('B19: an address in a header is nobody’s address', async t => {
    const allow = "{ rules: [{ from: [{ source: { remoteIpBlocks: ['10.0.0.0/8'] } }] }] }"
    const world = await startSecureMesh(t, policy('ip', allow))
    const port = await serve(t, await world.join('reviews'), echo)
    assert.deepEqual(await direct(port, '/', ['x-forwarded-for', '10.1.2.3']), denied)
  })

  test('B24: an upgrade is judged too', async t => {
    const world = await startSecureMesh(t, onlyPage)
    const mesh = await world.join('reviews')
    const server = mesh.createServer(echo)
    let upgrades = 0
    server.on('upgrade', (_request, socket) => {
      upgrades++
      socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const answer = await direct(port, '/', ['connection', 'upgrade', 'upgrade', 'websocket'])
    assert.deepEqual(answer, denied)
    assert.equal(upgrades, 0)
  })

  test('B25: nobody who is denied is told to go on', async t => {
    const world = await startSecureMesh(t, onlyPage)
    const port = await serve(t, await world.join('reviews'), echo)
    const sent = send({ port, host: '127.0.0.1', method: 'POST', headers: { expect: '100-continue' }, agent: false })
    let continued = 0
    sent.on('continue', () => continued++)
    sent.flushHeaders()
    const [response] = await once(sent, 'response')
    assert.equal(response.statusCode, 403)
    assert.equal(continued, 0)
    sent.destroy()
  })

  test('a dry run denies nothing', async t => {
    const yaml = policy('dry', '{ action: DENY, rules: [{}] }').replace(
      'name: dry',
      "name: dry, annotations: { 'istio.io/dry-run': 'true' }",
    )
    const world = await startSecureMesh(t, yaml)
    await serve(t, await world.join('reviews'), echo)
    assert.equal((await get(await world.join('page'), 'http://reviews/')).status, 200)
  })
})
