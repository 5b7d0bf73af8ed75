import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ControlPlane, startControlPlane } from '@inmesh/control-plane'
import { Backends } from './backends.ts'
import { assertSame } from './compare.ts'
import { type GatewayCase, gatewayCases } from './gateway-cases.ts'
import { gatewayDocuments } from './gateway-documents.ts'
import { type GatewayClients, observeProxy, startClients, statusesOf } from './gateway-observe.ts'
import { type Peer, startIstiod } from './istio.ts'
import type { Observation } from './observe.ts'

const recorded: Record<string, Observation[]> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'gateway-fixture.json'), 'utf8'),
)

/** The answers of Envoy on Istio's discovery server are those of our client there, and of the same Envoy on our control plane. */
describe('routes of the Gateway API do what they do through Istio', () => {
  let folder: string
  let backends: Backends
  let istiod: Peer
  let controlPlane: ControlPlane
  let clients: GatewayClients
  let proxy: ReadonlyMap<GatewayCase, readonly Observation[]>

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inmesh-gateway-'))
    backends = await Backends.start()
    const yaml = gatewayDocuments(gatewayCases, backends.ports)
    writeFileSync(join(folder, 'all.yaml'), yaml)
    istiod = await startIstiod(yaml)
    clients = await startClients(istiod.address, backends)
    controlPlane = await startControlPlane({ config: folder, xdsPort: 0 })
    proxy = await observeProxy(controlPlane.xdsAddress, backends)
  })

  after(async () => {
    await clients?.close()
    await controlPlane?.close()
    await istiod?.close()
    backends?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('the table is whole', () => assert.equal(Object.keys(recorded).length, gatewayCases.length))

  for (const [index, aCase] of gatewayCases.entries()) {
    test(aCase.name, async () => {
      const expected = recorded[aCase.name] ?? []
      assertSame(await clients.observe(aCase, index), expected)
      const ours = proxy.get(aCase)
      if (!ours) return
      if (aCase.differs) assert.deepEqual(statusesOf(ours), aCase.differs.statuses)
      else assertSame(ours, expected)
    })
  }
})
