import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { bootstrapFile, serveYaml } from './support/control-plane.ts'
import { goInteropClient, startGoInteropServer } from './support/go-server.ts'

const yaml = (port: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: interop, namespace: default }
spec:
  hosts: [interop.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 50051, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${port} }, locality: eu/a }]
`

test("grpc-go's client reports the load that it sends to the control plane", { timeout: 300_000 }, async t => {
  const loadReporting = { intervalMs: 100 }
  const { controlPlane, xdsAddress } = await serveYaml(t, yaml(await startGoInteropServer(t)), { loadReporting })
  const env = { ...process.env, GRPC_XDS_BOOTSTRAP: await bootstrapFile(t, xdsAddress, 'grpc-go') }
  const target = ['-server_host', 'xds:///interop.test:50051', '-server_port', '0', '-test_case', 'rpc_soak']
  // A call every 20 ms, for longer than any report takes.
  const soak = ['-soak_iterations', '100000', '-soak_min_time_ms_between_rpcs', '20', '-soak_overall_timeout_seconds', '250']
  const small = ['-soak_request_size', '1', '-soak_response_size', '1']
  const client = spawn(goInteropClient(), [...target, ...soak, ...small], { env, stdio: 'ignore' })
  t.after(() => client.kill())
  const ended = once(client, 'exit')
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  const succeeded = () => controlPlane.loadReports()[0]?.localities[0]?.succeeded.total ?? 0
  await until(() => succeeded() >= 20 || isOver)
  const [report, ...others] = controlPlane.loadReports()
  assert.deepEqual([report?.nodeId, report?.cluster, others.length], ['grpc-go', 'outbound|50051||interop.test', 0])
  const [locality] = report?.localities ?? []
  assert.deepEqual([locality?.region, locality?.zone, locality?.failed.total, report?.dropped.total], ['eu', 'a', 0, 0])
  assert.equal(locality?.issued.total, (locality?.succeeded.total ?? 0) + (locality?.inProgress ?? 0))
  assert.ok((locality?.issued.perSecond ?? 0) > 0)
  client.kill()
  await ended
  const rate = () => controlPlane.loadReports()[0]?.localities[0]?.issued.perSecond
  await until(() => rate() === 0)
})
