import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ControlPlane, startControlPlane } from '@inmesh/control-plane'
import { Backends } from './backends.ts'
import { cases, hostOf } from './cases.ts'
import { assertSame } from './compare.ts'
import { allDocuments } from './documents.ts'
import { type Peer, startSidecar } from './istio.ts'
import { askProxy, type Observation, observe } from './observe.ts'

const recorded: Record<string, Observation[]> = JSON.parse(readFileSync(join(import.meta.dirname, 'fixture.json'), 'utf8'))

/** Our control plane steers a real Envoy: the answers are those of the same Envoy on Istio's discovery server. */
describe('Envoy follows our control plane', () => {
  let folder: string
  let backends: Backends
  let controlPlane: ControlPlane
  let sidecar: Peer

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inmesh-envoy-'))
    backends = await Backends.start()
    writeFileSync(join(folder, 'all.yaml'), allDocuments(cases, backends.ports))
    controlPlane = await startControlPlane({ config: folder, xdsPort: 0 })
    sidecar = await startSidecar(controlPlane.xdsAddress)
  })

  after(async () => {
    await sidecar?.close()
    await controlPlane?.close()
    backends?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('the table is whole', () => assert.equal(Object.keys(recorded).length, cases.length))

  for (const [index, aCase] of cases.entries()) {
    test(aCase.name, async () => assertSame(await observe(askProxy, backends, aCase, hostOf(index)), recorded[aCase.name] ?? []))
  }
})
