import type { Benchmark, Row } from './benchmark.ts'
import { rowOf, type Sample, sample } from './paired.ts'
import { start } from './started.ts'

const intervalMs = 400

/** What updates of 10,000 endpoints cost a gRPC client, and how long they hold its event loop. */
export const benchmark: Benchmark = {
  name: 'grpc-eds',
  title: 'an update of 10,000 endpoints, grpc-js-xds against the mesh, CPU of the process and the most work in one turn',
  async *run({ quick }): AsyncIterable<Row> {
    using backend = await start(new URL('grpc-unary/server.ts', import.meta.url))
    using plane = await start(new URL('eds/server.ts', import.meta.url), {
      endpoints: 10_000,
      intervalMs,
      backend: backend.port,
    })
    const contender = (which: string) => ({
      module: new URL('grpc-xds/eds-contender.ts', import.meta.url),
      settings: { which, port: plane.port, updates: quick ? 5 : 20, intervalMs },
    })
    const samples: [Sample, Sample][] = []
    for (let pair = 0; pair < (quick ? 1 : 5); pair++)
      samples.push([await sample(contender('grpc-js-xds')), await sample(contender('mesh'))])
    const block = ({ longestBlockMs }: Sample): Sample => ({ value: longestBlockMs ?? Number.NaN })
    const work = ({ value }: Sample): Sample => ({ value })
    yield rowOf(
      'grpc-eds',
      'ms CPU/update',
      samples.map(([base, mesh]) => [work(base), work(mesh)]),
    )
    yield rowOf(
      'grpc-eds/block',
      'ms',
      samples.map(([base, mesh]) => [block(base), block(mesh)]),
    )
  },
}
