import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { type ControlPlane, startControlPlane } from '@inmesh/control-plane'
import { createMesh, type GrpcWorkload, type Mesh, silentLogger } from '../../src/index.ts'
import { EchoClient, echoDefinition } from '../support/grpc-backend.ts'

// The whole of it: INMESH_CHURN_CALLS=100000 INMESH_CHURN_STREAMS=100 npm test -- test/e2e/grpc-churn.test.ts
const calls = Number(process.env.INMESH_CHURN_CALLS ?? 4000)
const streams = Number(process.env.INMESH_CHURN_STREAMS ?? 10)
const inFlight = 32
const quiet = { logger: silentLogger }
const servers = 3
const rolls = calls < 10_000 ? 4 : 12

const config = `
apiVersion: v1
kind: Service
metadata: { name: echo, labels: { app: echo } }
spec:
  selector: { app: echo }
  ports: [{ name: grpc, port: 9080 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo }
spec:
  hosts: [echo]
  http:
    - route: [{ destination: { host: echo } }]
      retries: { attempts: 2, retryOn: "unavailable,connect-failure,refused-stream" }
`

interface Server {
  readonly mesh: Mesh
  readonly workload: GrpcWorkload
  calls: number
}

async function startServer(t: TestContext, xdsAddress: string): Promise<Server> {
  const env = { INMESH_CONTROL_PLANE: xdsAddress, INMESH_SERVICE: 'echo', INMESH_ADDRESS: '127.0.0.1' }
  const mesh = await createMesh({ env, hosts: [], runtime: quiet })
  const server = new grpc.Server()
  const streaming = () => {}
  const own = { mesh, calls: 0 }
  server.addService(echoDefinition, {
    Unary: ({ request }: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
      own.calls++
      callback(null, request)
    },
    ClientStream: streaming,
    ServerStream: streaming,
    Bidi: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', chunk => call.write(chunk))
      call.on('end', () => call.end())
    },
  })
  const workload = await mesh.serveGrpc(server, { host: '127.0.0.1' })
  t.after(async () => {
    server.forceShutdown()
    await mesh.close()
  })
  return Object.assign(own, { workload })
}

/** Waits until `mesh` sends calls to a server. */
async function knows(mesh: Mesh, { workload: { port } }: Server): Promise<void> {
  const address = `127.0.0.1:${port}`
  const known = () => mesh.snapshot().clusters.some(({ endpoints }) => endpoints.some(each => each.address === address))
  while (!known()) await new Promise<void>(resolve => void mesh.on('config', () => resolve()))
}

test('calls and long streams outlive servers that roll, endpoints that come and go, and a control plane that restarts', {
  timeout: 600_000,
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-churn-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'mesh.yaml'), config)
  let plane: ControlPlane = await startControlPlane({ config: folder, xdsPort: 0 })
  t.after(() => plane.close())
  const { xdsAddress } = plane
  const running: Server[] = []
  for (let index = 0; index < servers; index++) running.push(await startServer(t, xdsAddress))

  const env = { INMESH_CONTROL_PLANE: xdsAddress, INMESH_SERVICE: 'caller' }
  const mesh = await createMesh({ env, hosts: ['echo:9080'], runtime: quiet })
  const client = mesh.grpcClient(EchoClient, 'xds:///echo:9080')
  t.after(async () => {
    client.close()
    await mesh.close()
  })
  for (const server of running) await knows(mesh, server)

  const failures: string[] = []
  let left = calls
  let ended = 0
  let isRolling = true
  const progress = new Map<number, () => void>()
  const lane = async () => {
    while (left-- > 0 || isRolling) {
      await new Promise<void>(resolve => {
        client.Unary(Buffer.from('x'), error => {
          if (error !== null) failures.push(error.message)
          resolve()
        })
      })
      progress.get(++ended)?.()
    }
  }
  const reached = (count: number) => new Promise<void>(resolve => (ended >= count ? resolve() : progress.set(count, resolve)))

  // Each sends its next message when the last came back, for as long as the calls go on.
  let messages = 0
  const streamFailures: string[] = []
  const stream = () =>
    new Promise<void>(resolve => {
      const call = client.Bidi()
      call.on('data', () => {
        messages++
        if (ended < calls || isRolling) setImmediate(() => call.write(Buffer.from('y')))
        else call.end()
      })
      call.on('error', error => streamFailures.push(error.message))
      call.on('status', () => resolve())
      call.write(Buffer.from('y'))
    })

  const roll = async () => {
    const drains: Promise<void>[] = []
    for (let index = 1; index <= rolls; index++) {
      await reached(Math.floor((calls * index) / (rolls + 2)))
      if (index === rolls / 2) {
        await plane.close()
        plane = await startControlPlane({ config: folder, xdsPort: Number(xdsAddress.split(':')[1]) })
      }
      const next = await startServer(t, xdsAddress)
      running.push(next)
      await knows(mesh, next)
      const oldest = running.shift()
      // Its streams end when the calls do.
      drains.push(oldest?.workload.drain({ propagationMs: 300, deadlineMs: 600_000 }) ?? Promise.resolve())
    }
    isRolling = false
    return drains
  }

  const [drains] = await Promise.all([
    roll(),
    ...Array.from({ length: inFlight }, lane),
    ...Array.from({ length: streams }, stream),
  ])
  await Promise.all(drains)
  assert.deepEqual([failures.length, ...failures.slice(0, 3), ...streamFailures.slice(0, 3)], [0])
  assert.ok(ended >= calls)
  assert.ok(messages > streams)
  const serving = running.filter(server => server.calls > 0).length
  assert.ok(serving > 0, 'none of the last servers was ever called')
  t.diagnostic(`${ended} calls and ${streams} streams of ${messages} messages over ${servers + rolls} servers`)
})
