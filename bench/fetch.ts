import type { Benchmark, Row } from './benchmark.ts'
import type { FetchCase, FetchSettings } from './fetch/contender.ts'
import { paired } from './paired.ts'
import { staticMesh } from './static-mesh.ts'
import { startUpstream } from './upstream.ts'

const concurrency = 16

const cases: readonly { readonly name: string; readonly fetchCase: FetchCase; readonly requests: number }[] = [
  { name: 'fetch', fetchCase: 'get-json', requests: 60_000 },
  { name: 'fetch/get-1k-stream', fetchCase: 'get-stream', requests: 60_000 },
  { name: 'fetch/post-1k-json', fetchCase: 'post-json', requests: 40_000 },
  { name: 'fetch/get-100k-arraybuffer', fetchCase: 'get-100k-arraybuffer', requests: 15_000 },
  { name: 'fetch/get-100k-stream', fetchCase: 'get-100k-stream', requests: 15_000 },
]

/** Node's own `fetch` against `mesh.fetch`. */
export const benchmark: Benchmark = {
  name: 'fetch',
  title: "Node's fetch against mesh.fetch, CPU of the client process, 16 in flight",
  async *run({ quick }): AsyncIterable<Row> {
    await using upstream = await startUpstream()
    await using config = await staticMesh(upstream.port, concurrency)
    for (const { name, fetchCase, requests } of cases) {
      const contender = (which: FetchSettings['which']) => ({
        module: new URL('./fetch/contender.ts', import.meta.url),
        settings: {
          which,
          fetchCase,
          url: upstream.url,
          staticConfig: config.path,
          requests: quick ? requests / 10 : requests,
          concurrency,
        },
      })
      const row = await paired({
        name,
        unit: 'µs CPU/request',
        baseline: contender('node'),
        inmesh: contender('mesh'),
        pairs: quick ? 1 : 5,
      })
      yield { ...row, upstream: upstream.kind }
    }
  },
}
