import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startControlPlane } from '@inmesh/control-plane'
import type { Benchmark } from './benchmark.ts'
import { meshFolder, meshHost } from './dispatch/mesh-folder.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'

/** What a process pays to be in the mesh: import and `createMesh` from the cached configuration, with the control plane away. */
export const benchmark: Benchmark = {
  name: 'start',
  title: 'import and createMesh from the cache, milliseconds and megabytes over bare Node',
  async *run({ quick }) {
    const cacheDir = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
    await using folder = await meshFolder(1, 16)
    try {
      const controlPlane = await startControlPlane({ config: folder.path, xdsPort: 0 })
      const contender = {
        module: new URL('start/contender.ts', import.meta.url),
        settings: { cacheDir, controlPlane: controlPlane.xdsAddress, host: meshHost },
      }
      await sample(contender)
      await controlPlane.close()
      const samples: Sample[] = []
      for (let run = 0; run < (quick ? 3 : 11); run++) samples.push(await sample(contender))
      const figure = (key: string) => median(samples.map(one => one[key] ?? Number.NaN))
      yield {
        name: 'start',
        unit: 'ms',
        baseline: null,
        inmesh: figure('value'),
        ratio: null,
        pairs: samples.length,
        megabytes: figure('megabytes'),
        importMs: figure('importMs'),
        stale: figure('stale'),
      }
    } finally {
      await rm(cacheDir, { recursive: true })
    }
  },
}
