import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { startControlPlane, systemClock } from '@inmesh/control-plane'
import { createMesh, silentLogger } from '../../src/index.ts'
import { callUnary, EchoClient, startGrpcBackend } from '../support/grpc-backend.ts'

const service = (name: string, port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.default.svc.cluster.local]
  resolution: STATIC
  ports: [{ number: 50051, name: grpc, protocol: GRPC, targetPort: ${port} }]
  endpoints: [{ address: 127.0.0.1 }]
`
const route = `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: echo }
spec:
  parentRefs: [{ group: "", kind: Service, name: echo }]
  rules:
  - backendRefs: [{ name: echo, port: 50051 }]
  - matches: [{ method: { service: test.Echo }, headers: [{ name: x-canary, value: "yes" }] }]
    filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-way, value: canary }] } }]
    backendRefs: [{ name: canary, port: 50051 }]
  - matches: [{ headers: [{ name: x-nobody, value: "yes" }] }]
`

async function start(t: TestContext) {
  const seen: string[] = []
  const backend = (name: string) =>
    startGrpcBackend(t, ({ metadata }) => {
      seen.push(`${name} ${metadata.get('x-way').join()}`.trim())
      return false
    })
  const [echo, canary] = await Promise.all([backend('echo'), backend('canary')])
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-grpc-route-'))
  const portOf = ({ address }: { readonly address: string }) => Number(address.split(':').at(-1))
  const documents = [service('echo', portOf(echo)), service('canary', portOf(canary)), route]
  writeFileSync(join(folder, 'mesh.yaml'), documents.join('---\n'))
  const controlPlane = await startControlPlane({
    config: folder,
    xdsPort: 0,
    runtime: { clock: systemClock, logger: silentLogger },
  })
  const env = { INMESH_CONTROL_PLANE: controlPlane.xdsAddress }
  const host = 'echo.default.svc.cluster.local:50051'
  const mesh = await createMesh({ env, hosts: [host], runtime: { logger: silentLogger } })
  const client = mesh.grpcClient(EchoClient, `xds:///${host}`)
  t.after(async () => {
    client.close()
    await mesh.close()
    await controlPlane.close()
    rmSync(folder, { recursive: true })
  })
  const call = async (headers: Readonly<Record<string, string>>) => {
    const metadata = new grpc.Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    return callUnary(client, 'x', { metadata })
  }
  return { seen, call }
}

test('a GRPCRoute routes the calls to its service', async t => {
  const { seen, call } = await start(t)
  await call({})
  await call({ 'x-canary': 'yes' })
  assert.deepEqual(seen, ['echo', 'canary canary'])
  assert.equal((await call({ 'x-nobody': 'yes' })).code, grpc.status.UNAVAILABLE)
})
