import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startControlPlane, systemClock } from '@inmesh/control-plane'
import { createMesh, MeshError, silentLogger } from '../../src/index.ts'
import { startUpstream } from '../support/http-upstream.ts'

const service = (name: string, port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.default.svc.cluster.local]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
  endpoints: [{ address: 127.0.0.1 }]
`
const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: web }
spec:
  parentRefs: [{ group: "", kind: Service, name: web, port: 80 }]
  rules:
  - matches: [{ path: { value: /shop } }]
    filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
    backendRefs: [{ name: web, port: 80 }]
  - matches: [{ path: { value: /moved } }]
    filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /to/here/ } } }]
    backendRefs: [{ name: web, port: 80 }]
  - matches: [{ path: { value: /shop }, queryParams: [{ name: canary, value: "1" }] }]
    filters:
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-way, value: canary }] } }
    - { type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: x-by, value: mesh }] } }
    backendRefs: [{ name: canary, port: 80 }]
  - matches: [{ path: { value: /old } }]
    filters: [{ type: RequestRedirect, requestRedirect: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }]
  - matches: [{ path: { value: /gone } }]
    filters: [{ type: RequestRedirect, requestRedirect: { statusCode: 301, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
  - matches: [{ path: { type: Exact, value: /nobody } }]
  - matches: [{ path: { type: Exact, value: /missing } }]
    backendRefs: [{ name: missing, port: 80 }]
  - matches: [{ path: { type: Exact, value: /slow } }]
    timeouts: { request: 20ms }
    backendRefs: [{ name: web, port: 80 }]
`

async function start(t: TestContext) {
  const seen: string[] = []
  const backend = (name: string) =>
    startUpstream(t, (request, response) => {
      seen.push(`${name} ${request.method} ${request.url} ${request.headers['x-way'] ?? ''}`.trim())
      if (request.url !== '/slow') response.end(name)
    })
  const [web, canary] = await Promise.all([backend('web'), backend('canary')])
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-http-route-'))
  writeFileSync(join(folder, 'mesh.yaml'), [service('web', web.port), service('canary', canary.port), route].join('---\n'))
  const runtime = { clock: systemClock, logger: silentLogger }
  const controlPlane = await startControlPlane({ config: folder, xdsPort: 0, runtime })
  const host = 'web.default.svc.cluster.local'
  const env = { INMESH_CONTROL_PLANE: controlPlane.xdsAddress }
  const mesh = await createMesh({ env, hosts: [`${host}:80`], runtime: { logger: silentLogger } })
  t.after(async () => {
    await mesh.close()
    await controlPlane.close()
    rmSync(folder, { recursive: true })
  })
  const get = async (path: string) => {
    const response = await mesh.fetch(`http://${host}${path}`, { redirect: 'manual' })
    await response.text()
    return response
  }
  /** Of the answer, or of the error where the mesh has none. */
  const statusOf = async (path: string) => {
    try {
      return (await get(path)).status
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      return cause instanceof MeshError ? cause.statusCode : assert.fail(String(error))
    }
  }
  return { seen, get, statusOf }
}

test('an HTTPRoute routes the calls to its service', async t => {
  const { seen, get, statusOf } = await start(t)
  const arrives = async (path: string) => {
    await get(path)
    return seen.splice(0).join()
  }
  assert.equal(await arrives('/shop'), 'web GET /')
  assert.equal(await arrives('/shop/cart?a=b'), 'web GET /cart?a=b')
  assert.equal(await arrives('/moved/x'), 'web GET /to/here/x')
  assert.equal(await arrives('/shop?canary=1'), 'canary GET /shop?canary=1 canary')
  assert.equal((await get('/shop?canary=1')).headers.get('x-by'), 'mesh')
  assert.equal(await statusOf('/shopping'), 404)
})

test('it redirects, and answers what nobody can', async t => {
  const { get, statusOf } = await start(t)
  const redirected = async (path: string) => {
    const { status, headers } = await get(path)
    return `${status} ${headers.get('location')}`
  }
  assert.equal(await redirected('/old/a?b=c'), '302 http://web.default.svc.cluster.local/new/a?b=c')
  assert.equal(await redirected('/gone/a'), '301 http://web.default.svc.cluster.local/a')
  assert.equal(await statusOf('/nobody'), 500)
  assert.equal(await statusOf('/missing'), 500)
  assert.equal(await statusOf('/slow'), 504)
})
