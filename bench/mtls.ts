import type { Benchmark, Row } from './benchmark.ts'
import type { MtlsSettings } from './mtls/contender.ts'
import type { MtlsServerSettings } from './mtls/server.ts'
import { mtlsWorld } from './mtls/world.ts'
import { rowOf, type Sample, sample } from './paired.ts'
import { start } from './started.ts'

const concurrency = 16

/** What mutual TLS and authorization cost once connections are there. */
export const benchmark: Benchmark = {
  name: 'mtls',
  title: 'CPU of both sides for a call: the mesh in plain text, and the mesh with mutual TLS and RBAC on both sides',
  async *run({ quick }): AsyncIterable<Row> {
    await using world = await mtlsWorld(concurrency)
    const measure = async (which: 'plain' | 'mtls'): Promise<Sample> => {
      const { folder, port } = world
      using server = await start(new URL('./mtls/server.ts', import.meta.url), {
        which,
        folder,
        port,
      } satisfies MtlsServerSettings)
      return await sample({
        module: new URL('./mtls/contender.ts', import.meta.url),
        settings: {
          which,
          folder,
          port,
          pids: [server.child.pid ?? 0],
          requests: quick ? 5000 : 30_000,
          concurrency,
          rate: 1000,
          seconds: quick ? 1 : 3,
        } satisfies MtlsSettings,
      })
    }
    const samples: [Sample, Sample][] = []
    for (let round = 0; round < (quick ? 1 : 7); round++) samples.push([await measure('plain'), await measure('mtls')])
    yield rowOf('mtls', 'µs CPU/request', samples)
  },
}
