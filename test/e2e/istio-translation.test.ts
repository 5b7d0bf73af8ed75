import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startControlPlane } from '@inmesh/control-plane'
import { createMesh } from '../../src/index.ts'
import { Backends } from '../istio/backends.ts'
import { cases, hostOf } from '../istio/cases.ts'
import { askMesh, assertSame } from '../istio/compare.ts'
import { allDocuments } from '../istio/documents.ts'
import { type Observation, observe } from '../istio/observe.ts'

const recorded: Record<string, Observation[]> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../istio/fixture.json'), 'utf8'),
)

/** The same documents through our control plane and our client, held against what Istio and Envoy made of them. */
describe('a VirtualService does through inmesh what it does through Istio', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-istio-'))
  const backends = await Backends.start()
  writeFileSync(join(folder, 'all.yaml'), allDocuments(cases, backends.ports))
  const controlPlane = await startControlPlane({ config: folder, xdsPort: 0 })
  const mesh = await createMesh({ env: { INMESH_CONTROL_PLANE: controlPlane.xdsAddress }, hosts: ['*.test'], localReplies: true })

  after(async () => {
    await mesh.close()
    await controlPlane.close()
    backends.close()
    rmSync(folder, { recursive: true, force: true })
  })
  before(() => assert.ok(cases.length >= 60))

  for (const [index, aCase] of cases.entries()) {
    test(aCase.name, async () => {
      const observed = await observe(askMesh(mesh.dispatcher), backends, aCase, hostOf(index))
      assertSame(observed, recorded[aCase.name] ?? [])
    })
  }
})
