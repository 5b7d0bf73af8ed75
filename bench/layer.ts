import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark } from './benchmark.ts'
import { meshConfig } from './layer/mesh-config.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'

/** The mesh's own part of a request: what is left when the connections answer at once. */
export const benchmark: Benchmark = {
  name: 'layer',
  title: 'mesh.dispatcher over connections that answer at once, less those connections',
  async *run({ quick }) {
    const folder = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
    const staticConfig = join(folder, 'mesh.json')
    await writeFile(staticConfig, JSON.stringify(meshConfig(1, 16)))
    try {
      const contender = {
        module: new URL('layer/contender.ts', import.meta.url),
        settings: { requests: quick ? 300_000 : 2_000_000, staticConfig },
        execArgv: ['--expose-gc', '--max-semi-space-size=64'],
      }
      const samples: Sample[] = []
      for (let run = 0; run < (quick ? 1 : 5); run++) samples.push(await sample(contender))
      const figure = (key: string) => median(samples.map(one => one[key] ?? Number.NaN))
      yield {
        name: 'layer',
        unit: 'ns CPU/request',
        baseline: 0,
        inmesh: figure('value'),
        ratio: 0,
        pairs: samples.length,
        bytes: figure('bytes'),
        fakePoolNs: figure('fakePoolNs'),
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}
