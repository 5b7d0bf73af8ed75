import type { Benchmark, Row } from './benchmark.ts'
import { paired } from './paired.ts'
import { start } from './started.ts'
import { staticMesh } from './static-mesh.ts'

const concurrency = 16

/** A plain grpc-js client against the same client on a channel of the mesh. */
export const benchmark: Benchmark = {
  name: 'grpc-unary',
  title: 'a unary call of grpc-js, plain and through the mesh, CPU of the client process, 16 in flight',
  async *run({ quick }): AsyncIterable<Row> {
    using server = await start(new URL('grpc-unary/server.ts', import.meta.url))
    await using config = await staticMesh(server.port, concurrency)
    const contender = (which: 'grpc-js' | 'mesh') => ({
      module: new URL('./grpc-unary/contender.ts', import.meta.url),
      settings: { which, port: server.port, staticConfig: config.path, requests: quick ? 3_000 : 20_000, concurrency },
    })
    yield await paired({
      name: 'grpc-unary',
      unit: 'µs CPU/request',
      baseline: contender('grpc-js'),
      inmesh: contender('mesh'),
      pairs: quick ? 1 : 7,
    })
  },
}
