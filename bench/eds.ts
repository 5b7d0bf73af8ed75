import type { Benchmark } from './benchmark.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'
import { start } from './started.ts'

/**
 * What an update of many endpoints costs the client, from the bytes on the stream to the picker that uses them. `longestBlockMs` is the
 * most that the thread worked in one turn of the event loop, over all runs; `longestStallMs` the longest turn on the clock, with what
 * the machine did meanwhile.
 */
export const benchmark: Benchmark = {
  name: 'eds',
  title:
    'an update of 10,000 endpoints, one in a hundred replaced: CPU of the client process and the most work in one turn of its event loop',
  async *run({ quick }) {
    using plane = await start(new URL('eds/server.ts', import.meta.url), { endpoints: 10_000, intervalMs: 400 })
    const contender = {
      module: new URL('eds/contender.ts', import.meta.url),
      settings: { port: plane.port, warmup: quick ? 3 : 10, updates: quick ? 5 : 20 },
    }
    const samples: Sample[] = []
    for (let run = 0; run < (quick ? 1 : 5); run++) samples.push(await sample(contender))
    const figure = (key: string) => median(samples.map(one => one[key] ?? Number.NaN))
    yield {
      name: 'eds',
      unit: 'ms CPU/update',
      baseline: null,
      inmesh: figure('value'),
      ratio: null,
      pairs: samples.length,
      longestBlockMs: Math.max(...samples.map(({ longestBlockMs }) => longestBlockMs ?? Number.NaN)),
      medianBlockMs: figure('longestBlockMs'),
      longestStallMs: Math.max(...samples.map(({ longestStallMs }) => longestStallMs ?? Number.NaN)),
      endpoints: figure('endpoints'),
    }
  },
}
