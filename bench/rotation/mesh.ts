import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Mesh } from '../../src/index.ts'
import { built } from '../contender.ts'

/** A mesh that joins the control plane of the folder. */
export async function joinMesh(folder: string, service: 'server' | 'client', hosts: readonly string[]): Promise<Mesh> {
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const env = {
    INMESH_CONTROL_PLANE: read('address'),
    INMESH_JOIN_TOKEN: read(`${service}.token`),
    INMESH_SERVICE: service,
    INMESH_ADDRESS: '127.0.0.1',
  }
  return createMesh({ env, hosts: [...hosts] })
}
