import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, credentials } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import { bootstrapFile, echoYaml, serveYaml } from './support/control-plane.ts'
import { echo, echoServer } from './support/echo-server.ts'
import { assertShare, tally } from './support/share.ts'

test('@grpc/grpc-js-xds reaches a service by xds:/// and follows the split', async t => {
  const [v1, v2] = await Promise.all([echoServer(t, 'v1'), echoServer(t, 'v2')])
  const { xdsAddress, controlPlane } = await serveYaml(t, echoYaml(v1, v2, 25))
  // Read once, at the first channel.
  process.env.GRPC_XDS_BOOTSTRAP = await bootstrapFile(t, xdsAddress, 'grpc-js-xds')
  register()
  const client = new Client('xds:///echo.test:50051', credentials.createInsecure())
  t.after(() => client.close())
  const answers: string[] = []
  const calls = 400
  for (let index = 0; index < calls; index++) answers.push((await echo(client, `call ${index}`)).slice(0, 2))
  const counts = tally(answers)
  assert.equal((counts.get('v1') ?? 0) + (counts.get('v2') ?? 0), calls)
  assertShare(counts.get('v2') ?? 0, calls, 0.25)
  assert.deepEqual(
    controlPlane.clients().flatMap(({ types }) => types.filter(({ state }) => state === 'ERROR')),
    [],
  )
})
