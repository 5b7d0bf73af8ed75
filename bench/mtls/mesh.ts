import { join } from 'node:path'
import type { Mesh } from '../../src/index.ts'
import { built } from '../contender.ts'

/** A mesh over one of the files of the world, with an identity from its files. */
export async function meshOf(
  folder: string,
  config: string,
  identity: 'client' | 'server',
  hosts: readonly string[],
): Promise<Mesh> {
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const files = {
    certificate_file: join(folder, `${identity}.crt`),
    private_key_file: join(folder, `${identity}.key`),
    ca_certificate_file: join(folder, 'ca.crt'),
  }
  const certificateProviders = { default: { plugin_name: 'file_watcher', config: files } }
  return createMesh({ hosts: [...hosts], staticConfig: join(folder, config), certificateProviders })
}
