import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { startControlPlane } from '@inmesh/control-plane'
import { Backends } from '../istio/backends.ts'
import { assertSame } from '../istio/compare.ts'
import { gatewayCases } from '../istio/gateway-cases.ts'
import { gatewayDocuments } from '../istio/gateway-documents.ts'
import { startClients, statusesOf } from '../istio/gateway-observe.ts'
import type { Observation } from '../istio/observe.ts'

const recorded: Record<string, Observation[]> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../istio/gateway-fixture.json'), 'utf8'),
)

/** The same documents through our control plane and our client, held against what Istio and Envoy made of them. */
describe('a route of the Gateway API does through inmesh what it does through Istio', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-gateway-'))
  const backends = await Backends.start()
  writeFileSync(join(folder, 'all.yaml'), gatewayDocuments(gatewayCases, backends.ports))
  const controlPlane = await startControlPlane({ config: folder, xdsPort: 0 })
  const clients = await startClients(controlPlane.xdsAddress, backends)

  after(async () => {
    await clients.close()
    await controlPlane.close()
    backends.close()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const [index, aCase] of gatewayCases.entries()) {
    const because = aCase.differs ? ` (${aCase.differs.because})` : ''
    test(aCase.name + because, async () => {
      const observed = await clients.observe(aCase, index)
      const expected = recorded[aCase.name] ?? []
      if (aCase.differs) {
        assert.deepEqual(statusesOf(observed), aCase.differs.statuses)
        assert.throws(() => assertSame(observed, expected))
      } else assertSame(observed, expected)
    })
  }
})
