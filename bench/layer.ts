import type { Benchmark } from './benchmark.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'
import { staticMesh } from './static-mesh.ts'

/** The mesh's own part of a request: what is left when the connections answer at once. */
export const benchmark: Benchmark = {
  name: 'layer',
  title: 'mesh.dispatcher over connections that answer at once, less those connections',
  async *run({ quick }) {
    await using config = await staticMesh(1, 16)
    const contender = {
      module: new URL('layer/contender.ts', import.meta.url),
      settings: { requests: quick ? 300_000 : 2_000_000, staticConfig: config.path },
      execArgv: ['--expose-gc', '--max-semi-space-size=64'],
    }
    const samples: Sample[] = []
    for (let run = 0; run < (quick ? 1 : 5); run++) samples.push(await sample(contender))
    const figure = (key: string) => median(samples.map(one => one[key] ?? Number.NaN))
    yield {
      name: 'layer',
      unit: 'ns CPU/request',
      baseline: null,
      inmesh: figure('value'),
      ratio: null,
      pairs: samples.length,
      bytes: figure('bytes'),
      fakePoolNs: figure('fakePoolNs'),
    }
  },
}
