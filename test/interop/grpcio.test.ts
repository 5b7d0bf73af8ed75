import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { python } from '../support/peers.ts'
import { bootstrapFile, echoYaml, serveYaml } from './support/control-plane.ts'
import { echoPath, echoServer } from './support/echo-server.ts'
import { assertShare, tally } from './support/share.ts'

const program = join(import.meta.dirname, 'grpcio/client.py')
let interpreter = ''
before(() => {
  interpreter = python('grpcio')
})

test("Python's gRPC reaches a service by xds:/// and follows the split", async t => {
  const [v1, v2] = await Promise.all([echoServer(t, 'v1'), echoServer(t, 'v2')])
  const { xdsAddress, controlPlane } = await serveYaml(t, echoYaml(v1, v2, 25))
  const env = { ...process.env, GRPC_XDS_BOOTSTRAP: await bootstrapFile(t, xdsAddress, 'python') }
  const calls = 400
  const { stdout } = await promisify(execFile)(interpreter, [program, 'xds:///echo.test:50051', echoPath, String(calls)], { env })
  const counts = tally(
    stdout
      .trim()
      .split('\n')
      .map(line => line.slice(0, 2)),
  )
  assert.equal((counts.get('v1') ?? 0) + (counts.get('v2') ?? 0), calls)
  assertShare(counts.get('v2') ?? 0, calls, 0.25)
  assert.deepEqual(
    controlPlane.clients().flatMap(({ types }) => types.filter(({ state }) => state === 'ERROR')),
    [],
  )
})
