import type { Benchmark, Row } from './benchmark.ts'
import { paired } from './paired.ts'
import { start } from './started.ts'

/** From nothing to the first answer over xDS: loading, the configuration, the connection, the call. */
export const benchmark: Benchmark = {
  name: 'grpc-start',
  title: 'import and first gRPC call over xDS, grpc-js-xds against the mesh, CPU of the process',
  async *run({ quick }): AsyncIterable<Row> {
    using backend = await start(new URL('grpc-unary/server.ts', import.meta.url))
    using plane = await start(new URL('eds/server.ts', import.meta.url), {
      endpoints: 1,
      intervalMs: 1_000_000,
      backend: backend.port,
    })
    const contender = (which: string) => ({
      module: new URL('grpc-xds/start-contender.ts', import.meta.url),
      settings: { which, port: plane.port },
    })
    yield await paired({
      name: 'grpc-start',
      unit: 'ms CPU',
      baseline: contender('grpc-js-xds'),
      inmesh: contender('mesh'),
      pairs: quick ? 1 : 9,
    })
  },
}
