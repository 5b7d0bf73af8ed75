import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { systemClock } from '../../src/runtime.ts'
import { startSecureMesh } from '../support/secure-mesh.ts'
import { until } from '../support/until.ts'

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`

/** What the server shows to everybody: the fingerprint of its certificate, and of what signed it. */
async function shown(port: number): Promise<{ readonly leaf: string; readonly issuer: string }> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  const { fingerprint256: leaf, issuer } = socket.getPeerCertificate()
  socket.destroy()
  return { leaf, issuer: JSON.stringify(issuer) }
}

test('A16: certificates and the root are rotated under load without a failed call', async t => {
  // A control plane waits for clients that may come back before it signs with a new root: longer than a test can.
  let skippedMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + skippedMs }
  const world = await startSecureMesh(t, strict, { defaultTtlMs: 4_000, rootOverlapMs: 0 }, clock)
  const server = (await world.join('reviews')).createServer((_request, response) => response.end('x'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const page = await world.join('page')
  await until(async () => (await page.fetch('http://reviews/').catch(() => null))?.ok === true)

  let [calls, isOver] = [0, false]
  const failures: string[] = []
  const load = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      calls++
      try {
        const response = await page.fetch('http://reviews/')
        if (!response.ok) failures.push(String(response.status))
        await response.arrayBuffer()
      } catch (error) {
        failures.push(String(error instanceof Error ? error.cause : error))
      }
    }
  })
  const leaves = new Set<string>()
  const first = await shown(port)
  await until(async () => leaves.add((await shown(port)).leaf).size >= 3)
  skippedMs = 3_600_000
  await world.secure.rotateRoot()
  await until(async () => {
    await world.secure.advanceRotation()
    return (await shown(port)).issuer !== first.issuer
  })
  const before = leaves.size
  await until(async () => leaves.add((await shown(port)).leaf).size >= before + 2)
  isOver = true
  await Promise.all(load)
  t.diagnostic(`${calls} calls, ${leaves.size} certificates, ${failures.length} failed`)
  assert.deepEqual(failures.slice(0, 3), [])
})
