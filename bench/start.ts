import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startControlPlane } from '@inmesh/control-plane'
import type { Benchmark } from './benchmark.ts'
import { meshFolder } from './dispatch/mesh-folder.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'

/** What a process pays to start in the mesh while its control plane is down: import and `createMesh` from the copy on disk. */
export const benchmark: Benchmark = {
  name: 'start',
  title: 'import and createMesh from the cached configuration, over bare Node',
  async *run({ quick }) {
    await using folder = await meshFolder(9, 16)
    const cacheDir = await mkdtemp(join(tmpdir(), 'inmesh-bench-cache-'))
    try {
      const controlPlane = await startControlPlane({ config: folder.path, xdsPort: 0 })
      const contender = (which: 'bare' | 'mesh') => ({
        module: new URL('start/contender.ts', import.meta.url),
        settings: { which, cacheDir, controlPlane: controlPlane.xdsAddress },
      })
      // The first one finds the control plane and leaves a copy behind.
      await sample(contender('mesh'))
      await controlPlane.close()
      const samples: [bare: Sample, mesh: Sample][] = []
      for (let run = 0; run < (quick ? 1 : 9); run++)
        samples.push([await sample(contender('bare')), await sample(contender('mesh'))])
      const figure = (of: (bare: Sample, mesh: Sample) => number) => median(samples.map(([bare, mesh]) => of(bare, mesh)))
      yield {
        name: 'start',
        unit: 'ms',
        baseline: 0,
        inmesh: figure((_, mesh) => mesh.value),
        ratio: 0,
        pairs: samples.length,
        importMs: figure((_, mesh) => mesh.importMs ?? Number.NaN),
        megabytes: figure((bare, mesh) => (mesh.megabytes ?? Number.NaN) - (bare.megabytes ?? Number.NaN)),
        fromCache: figure((_, mesh) => mesh.fromCache ?? Number.NaN),
      }
    } finally {
      await rm(cacheDir, { recursive: true, force: true })
    }
  },
}
