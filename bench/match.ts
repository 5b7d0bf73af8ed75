import type { Benchmark } from './benchmark.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'

/** What the router alone costs, in a configuration larger than most meshes have. */
export const benchmark: Benchmark = {
  name: 'match',
  title: 'Router.match among 1,000 virtual hosts × 10 routes',
  async *run({ quick }) {
    const contender = {
      module: new URL('match/contender.ts', import.meta.url),
      settings: { matches: quick ? 300_000 : 3_000_000 },
    }
    const samples: Sample[] = []
    for (let run = 0; run < (quick ? 1 : 5); run++) samples.push(await sample(contender))
    const figure = (key: string) => median(samples.map(one => one[key] ?? Number.NaN))
    yield {
      name: 'match',
      unit: 'ns/match',
      baseline: null,
      inmesh: figure('value'),
      ratio: null,
      pairs: samples.length,
      bytesPerMatch: figure('bytesPerMatch'),
      compileMs: figure('compileMs'),
    }
  },
}
