import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { before, type TestContext, test } from 'node:test'
import type { ControlPlane } from '@inmesh/control-plane'
import { freePorts } from '../support/free-ports.ts'
import { envoy } from '../support/peers.ts'
import { serveYaml } from './support/control-plane.ts'
import { startEnvoy } from './support/envoy-process.ts'
import { assertShare, tally } from './support/share.ts'

let binary = ''
before(() => {
  binary = envoy()
})

/** An HTTP server that answers with its name. */
async function backend(t: TestContext, name: string): Promise<number> {
  const server = createServer((_, response) => response.end(name)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.closeAllConnections())
  t.after(() => server.close())
  return portOf(server)
}

function portOf(server: { address(): unknown }): number {
  const address = server.address()
  return typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0
}

/** Status and body of one GET through Envoy. */
function get(port: number, host: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, headers: { ...headers, host } }, response => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve(`${response.statusCode} ${body}`))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

const yaml = (port: number, v1Port: number, v2Port: number, percent: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: shop, namespace: default }
spec:
  hosts: [shop.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: ${port}, name: http, protocol: HTTP }]
  endpoints:
  - { address: 127.0.0.1, ports: { http: ${v1Port} }, labels: { version: v1 } }
  - { address: 127.0.0.1, ports: { http: ${v2Port} }, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: shop, namespace: default }
spec:
  host: shop.test
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, namespace: default }
spec:
  hosts: [shop.test]
  http:
  - match: [{ headers: { end-user: { exact: jason } } }]
    route: [{ destination: { host: shop.test, subset: v2 } }]
  - match: [{ uri: { prefix: /gone } }]
    directResponse: { status: 410 }
  - route:
    - { destination: { host: shop.test, subset: v1 }, weight: ${100 - percent} }
    - { destination: { host: shop.test, subset: v2 }, weight: ${percent} }
`

for (const apiType of ['GRPC', 'DELTA_GRPC'] as const) {
  test(`a real Envoy on our ADS (${apiType}) serves the VirtualService and follows its changes without a failed call`, async t => {
    const [[port = 0], v1, v2] = await Promise.all([freePorts(1), backend(t, 'v1'), backend(t, 'v2')])
    const { xdsAddress, rewrite, controlPlane } = await serveYaml(t, yaml(port, v1, v2, 25))
    const proxy = await startEnvoy(t, { binary, xdsAddress, apiType })
    const host = `shop.test:${port}`
    await proxy.until('the first answer', async () => (await get(port, host, '/')).startsWith('200'))

    const calls = 400
    const counts = tally(await Promise.all(Array.from({ length: calls }, () => get(port, host, '/'))))
    assert.deepEqual([...counts.keys()].sort(), ['200 v1', '200 v2'])
    assertShare(counts.get('200 v2') ?? 0, calls, 0.25)
    assert.equal(await get(port, host, '/', { 'end-user': 'jason' }), '200 v2')
    assert.equal(await get(port, host, '/gone/x'), '410 ')

    await rewrite(yaml(port, v1, v2, 100))
    const failed: string[] = []
    await proxy.until('the changed split', async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => get(port, host, '/')))
      failed.push(...answers.filter(answer => !answer.startsWith('200')))
      return answers.every(answer => answer === '200 v2')
    })
    assert.deepEqual(failed, [])

    for (const name of ['cluster_manager.cds.update_rejected', 'listener_manager.lds.update_rejected']) {
      assert.equal(await proxy.stat(name), 0, name)
    }
    const types = controlPlane.clients().flatMap(client => client.types)
    assert.deepEqual([...new Set(types.map(({ state }) => state))], ['SYNCED'])
    assert.equal(types.length, 4)
  })
}

test('a real Envoy reports its load to us where its bootstrap says so', async t => {
  const [[port = 0], v1, v2] = await Promise.all([freePorts(1), backend(t, 'v1'), backend(t, 'v2')])
  const loadReporting = { intervalMs: 200 }
  const { xdsAddress, controlPlane } = await serveYaml(t, yaml(port, v1, v2, 25), { loadReporting })
  const proxy = await startEnvoy(t, { binary, xdsAddress, apiType: 'DELTA_GRPC', reportsLoad: true })
  const host = `shop.test:${port}`
  await proxy.until('the first answer', async () => (await get(port, host, '/')).startsWith('200'))
  const before = total(controlPlane)
  // Of a cluster that the server has not asked for before, Envoy does not tell the first calls.
  await proxy.until('a report', async () => (await get(port, host, '/')).startsWith('200') && total(controlPlane) > before + 10)
  assert.deepEqual(
    controlPlane.loadReports().filter(({ localities }) => localities.some(({ failed }) => failed.total > 0)),
    [],
  )
})

/** Of all requests that succeeded. */
const total = (controlPlane: ControlPlane) =>
  controlPlane
    .loadReports()
    .reduce((sum, { localities }) => sum + localities.reduce((some, { succeeded }) => some + succeeded.total, 0), 0)
