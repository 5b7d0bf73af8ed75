import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark, Row } from './benchmark.ts'
import type { DispatchSettings } from './dispatch/contender.ts'
import { meshConfig } from './dispatch/mesh-config.ts'
import { paired } from './paired.ts'
import { startUpstream } from './upstream.ts'

/** Requests in flight, and connections, the same on both sides. */
const concurrency = 16

/** undici's `Pool.dispatch` against the mesh: route match, least request, breakers, outlier detection, retry policy and metrics on. */
export const benchmark: Benchmark = {
  name: 'dispatch',
  title: 'undici Pool.dispatch against mesh.dispatcher, CPU of the client process, 16 in flight',
  async *run({ quick }): AsyncIterable<Row> {
    await using upstream = await startUpstream()
    const folder = await mkdtemp(join(tmpdir(), 'inmesh-bench-'))
    const staticConfig = join(folder, 'mesh.json')
    await writeFile(staticConfig, JSON.stringify(meshConfig(upstream.port, concurrency)))
    const contender = (which: DispatchSettings['which']) => ({
      module: new URL('./dispatch/contender.ts', import.meta.url),
      settings: { which, port: upstream.port, requests: quick ? 20_000 : 100_000, concurrency, staticConfig },
    })
    try {
      const row = await paired({
        name: 'dispatch',
        unit: 'µs CPU/request',
        baseline: contender('undici'),
        inmesh: contender('mesh'),
        pairs: quick ? 1 : 5,
      })
      yield { ...row, upstream: upstream.kind }
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}
