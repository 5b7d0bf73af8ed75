import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ControlPlaneOptions, startControlPlane } from '@inmesh/control-plane'
import { createMesh, type Mesh, type MeshOptions } from '../../src/index.ts'
import { type Clock, silentLogger, systemClock } from '../../src/runtime.ts'

export const trustDomain = 'mesh.test'

/** A control plane with its certificate authority, and workloads that join it. */
export async function startSecureMesh(
  t: TestContext,
  yaml: string,
  more: Partial<NonNullable<ControlPlaneOptions['secure']>> = {},
  clock: Clock = systemClock,
) {
  const config = mkdtempSync(join(tmpdir(), 'inmesh-secure-'))
  t.after(() => rmSync(config, { recursive: true }))
  const write = (text: string) => writeFileSync(join(config, 'mesh.yaml'), text)
  write(yaml)
  const controlPlane = await startControlPlane({
    config,
    xdsPort: 0,
    secure: { trustDomain, port: 0, bundlePort: 0, ...more },
    runtime: { clock, logger: silentLogger },
    push: { debounceMs: 0 },
  })
  t.after(() => controlPlane.close())
  const secure = controlPlane.secure ?? assert.fail('not secure')
  const make = async (env: Readonly<Record<string, string>>, options: Partial<MeshOptions> = {}): Promise<Mesh> => {
    const mesh = await createMesh({ env: { INMESH_ADDRESS: '127.0.0.1', ...env }, runtime: { logger: silentLogger }, ...options })
    t.after(() => mesh.close())
    return mesh
  }
  return {
    controlPlane,
    secure,
    write,
    /** A workload with an identity. */
    async join(service: string, more: Readonly<Record<string, string>> = {}, options: Partial<MeshOptions> = {}): Promise<Mesh> {
      const { bearer } = await secure.tokens.create(`spiffe://${trustDomain}/ns/default/sa/${service}`, secure.authority.pin)
      return make({ INMESH_CONTROL_PLANE: secure.address, INMESH_JOIN_TOKEN: bearer, INMESH_SERVICE: service, ...more }, options)
    },
    /** A workload without one. */
    plain: (service: string): Promise<Mesh> => make({ INMESH_CONTROL_PLANE: controlPlane.xdsAddress, INMESH_SERVICE: service }),
  }
}
