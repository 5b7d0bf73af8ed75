import type { Benchmark, Row } from './benchmark.ts'
import { median } from './median.ts'
import type { MtlsSettings } from './mtls/contender.ts'
import type { MtlsServerSettings } from './mtls/server.ts'
import { betweenEnvoys, mtlsWorld } from './mtls/world.ts'
import { type Sample, sample } from './paired.ts'
import { startEnvoyPair } from './sidecar/envoy-pair.ts'
import { start } from './started.ts'

const concurrency = 16

interface Round {
  readonly direct: Sample
  readonly mesh: Sample
  readonly pair: Sample
}

/** What two Envoys with mutual TLS between them add to a call, and what the mesh with mutual TLS adds. */
export const benchmark: Benchmark = {
  name: 'sidecar-mtls',
  title:
    'CPU of all processes that mutual TLS and RBAC by two Envoys add to a direct call, and by the mesh; latency at 1,000 requests a second',
  async *run({ quick }): AsyncIterable<Row> {
    await using world = await mtlsWorld(concurrency)
    const { folder, port } = world
    const serve = (which: MtlsServerSettings['which']) =>
      start(new URL('./mtls/server.ts', import.meta.url), { which, folder, port } satisfies MtlsServerSettings)
    const measure = (which: MtlsSettings['which'], to: number, pids: readonly number[]) =>
      sample({
        module: new URL('./mtls/contender.ts', import.meta.url),
        settings: {
          which,
          folder,
          port: to,
          pids,
          requests: quick ? 5000 : 30_000,
          concurrency,
          rate: 1000,
          seconds: quick ? 1 : 4,
        } satisfies MtlsSettings,
      })
    const rounds: Round[] = []
    for (let round = 0; round < (quick ? 1 : 5); round++) rounds.push(await measureRound())
    yield rowOf(rounds)

    async function measureRound(): Promise<Round> {
      let direct: Sample
      let pair: Sample
      {
        using server = await serve('none')
        const pid = server.child.pid ?? 0
        await using envoys = await startEnvoyPair(port, betweenEnvoys(folder))
        direct = await measure('direct', port, [pid])
        pair = await measure('direct', envoys.port, [pid, ...envoys.pids])
      }
      using server = await serve('mtls')
      return { direct, pair, mesh: await measure('mtls', port, [server.child.pid ?? 0]) }
    }
  },
}

function rowOf(rounds: readonly Round[]): Row {
  const of = (side: keyof Round, key: string) => median(rounds.map(round => round[side][key] ?? Number.NaN))
  const added = (side: 'mesh' | 'pair', key: string) => (round: Round) =>
    (round[side][key] ?? Number.NaN) - (round.direct[key] ?? 0)
  const ratio = (key: string) => median(rounds.map(round => added('mesh', key)(round) / added('pair', key)(round)))
  return {
    name: 'sidecar-mtls',
    unit: 'µs CPU/request added',
    baseline: median(rounds.map(added('pair', 'value'))),
    inmesh: median(rounds.map(added('mesh', 'value'))),
    ratio: ratio('value'),
    pairs: rounds.length,
    p50Ratio: ratio('p50'),
    'direct.cpu': of('direct', 'value'),
    'direct.p50': of('direct', 'p50'),
    'baseline.p50': of('pair', 'p50'),
    'baseline.p99': of('pair', 'p99'),
    'inmesh.p50': of('mesh', 'p50'),
    'inmesh.p99': of('mesh', 'p99'),
  }
}
