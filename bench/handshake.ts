import type { Benchmark, Row } from './benchmark.ts'
import type { MtlsSettings } from './mtls/contender.ts'
import type { MtlsServerSettings } from './mtls/server.ts'
import { mtlsWorld } from './mtls/world.ts'
import { rowOf, type Sample, sample } from './paired.ts'
import { start } from './started.ts'

const concurrency = 4

/** What a new connection costs. */
export const benchmark: Benchmark = {
  name: 'handshake',
  title:
    'CPU of both sides for a call on a connection of its own: mutual TLS of Node and undici, and of the mesh with its checks',
  async *run({ quick }): AsyncIterable<Row> {
    await using world = await mtlsWorld(concurrency)
    const measure = async (server: MtlsServerSettings['which'], client: MtlsSettings['which']): Promise<Sample> => {
      const { folder, port } = world
      using running = await start(new URL('./mtls/server.ts', import.meta.url), { which: server, folder, port })
      return await sample({
        module: new URL('./mtls/contender.ts', import.meta.url),
        settings: {
          which: client,
          folder,
          port,
          pids: [running.child.pid ?? 0],
          requests: quick ? 200 : 1500,
          concurrency,
          rate: 0,
          seconds: 0,
        } satisfies MtlsSettings,
      })
    }
    const samples: [Sample, Sample][] = []
    for (let round = 0; round < (quick ? 1 : 5); round++)
      samples.push([await measure('tls', 'direct-tls'), await measure('mtls', 'once')])
    yield rowOf('handshake', 'µs CPU/connection', samples)
  },
}
