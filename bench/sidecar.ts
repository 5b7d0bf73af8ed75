import type { Benchmark, Row } from './benchmark.ts'
import { median } from './median.ts'
import { type Sample, sample } from './paired.ts'
import type { SidecarSettings } from './sidecar/contender.ts'
import { startEnvoyPair } from './sidecar/envoy-pair.ts'
import { processMemory } from './sidecar/process-cpu.ts'
import { staticMesh } from './static-mesh.ts'
import { startUpstream } from './upstream.ts'

const concurrency = 16

/** What two Envoys add to a call, and what the mesh adds. */
export const benchmark: Benchmark = {
  name: 'sidecar',
  title: 'CPU of all processes that two Envoys add to a direct call, and that the mesh adds; latency at 1,000 requests a second',
  async *run({ quick }): AsyncIterable<Row> {
    await using upstream = await startUpstream()
    await using config = await staticMesh(upstream.port, concurrency)
    await using envoys = await startEnvoyPair(upstream.port)
    const contender = (which: SidecarSettings['which']) => ({
      module: new URL('./sidecar/contender.ts', import.meta.url),
      settings: {
        which,
        port: which === 'envoys' ? envoys.port : upstream.port,
        staticConfig: config.path,
        pids: which === 'envoys' ? [upstream.pid, ...envoys.pids] : [upstream.pid],
        requests: quick ? 5000 : 30_000,
        concurrency,
        rate: 1000,
        seconds: quick ? 1 : 4,
      } satisfies SidecarSettings,
    })
    const rounds: Round[] = []
    for (let round = 0; round < (quick ? 1 : 7); round++) {
      // Between two direct calls, whose mean is what both are compared with: a drift of the machine then adds to neither.
      const first = await sample(contender('direct'))
      const mesh = await sample(contender('mesh'))
      const pair = await sample(contender('envoys'))
      rounds.push({ direct: mean(first, await sample(contender('direct'))), mesh, pair })
    }
    yield rowOf(
      rounds,
      envoys.pids.map(processMemory).reduce((a, b) => a + b),
    )
  },
}

interface Round {
  readonly direct: Sample
  readonly mesh: Sample
  readonly pair: Sample
}

function mean(a: Sample, b: Sample): Sample {
  const of = (key: string) => ((a[key] ?? 0) + (b[key] ?? 0)) / 2
  return { value: of('value'), p50: of('p50'), p99: of('p99'), memory: of('memory') }
}

function rowOf(rounds: readonly Round[], envoyMemory: number): Row {
  const of = (side: keyof Round, key: string) => median(rounds.map(round => round[side][key] ?? Number.NaN))
  const added = (side: 'mesh' | 'pair', key: string) => (round: Round) =>
    (round[side][key] ?? Number.NaN) - (round.direct[key] ?? 0)
  const ratio = (key: string) => median(rounds.map(round => added('mesh', key)(round) / added('pair', key)(round)))
  return {
    name: 'sidecar',
    unit: 'µs CPU/request added',
    baseline: median(rounds.map(added('pair', 'value'))),
    inmesh: median(rounds.map(added('mesh', 'value'))),
    ratio: ratio('value'),
    pairs: rounds.length,
    p50Ratio: ratio('p50'),
    'direct.cpu': of('direct', 'value'),
    'direct.p50': of('direct', 'p50'),
    'direct.p99': of('direct', 'p99'),
    'baseline.p50': of('pair', 'p50'),
    'baseline.p99': of('pair', 'p99'),
    'inmesh.p50': of('mesh', 'p50'),
    'inmesh.p99': of('mesh', 'p99'),
    'baseline.megabytes': envoyMemory,
    'inmesh.megabytes': of('mesh', 'memory') - of('direct', 'memory'),
  }
}
