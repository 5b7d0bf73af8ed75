import { setTimeout as wait } from 'node:timers/promises'
import { built, report, settings } from '../contender.ts'
import { meshHost } from '../dispatch/mesh-folder.ts'

const { which, cacheDir, controlPlane } = settings<{ which: 'bare' | 'mesh'; cacheDir: string; controlPlane: string }>()

const megabytes = () => process.memoryUsage().rss / 1e6

if (which === 'bare') {
  report({ value: 0, megabytes: megabytes() })
} else {
  const begun = performance.now()
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const importMs = performance.now() - begun
  const mesh = await createMesh({ env: { INMESH_CONTROL_PLANE: controlPlane, INMESH_CACHE_DIR: cacheDir }, hosts: [meshHost] })
  const value = performance.now() - begun
  const sample = { value, importMs, megabytes: megabytes(), fromCache: mesh.status()?.connected ? 0 : 1 }
  // Long enough for the copy to be written, where there is something to copy.
  await wait(1500)
  report(sample)
  await mesh.close()
}
process.exit(0)
