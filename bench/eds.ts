import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Benchmark } from './benchmark.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'

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
    const server = fileURLToPath(new URL('eds/server.ts', import.meta.url))
    const options = JSON.stringify({ endpoints: 10_000, intervalMs: 400 })
    const child = spawn(process.execPath, ['--conditions=@inmesh/source', server, options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const port = await new Promise<number>((resolve, reject) => {
        child.stdout.once('data', line => resolve(Number(line)))
        child.once('exit', code => reject(new Error(`the control plane ended with ${code}`)))
      })
      const contender = {
        module: new URL('eds/contender.ts', import.meta.url),
        settings: { port, warmup: quick ? 3 : 10, updates: quick ? 5 : 20 },
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
    } finally {
      child.kill()
    }
  },
}
