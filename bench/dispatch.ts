import { startControlPlane } from '@inmesh/control-plane'
import type { Benchmark, Row } from './benchmark.ts'
import type { DispatchSettings } from './dispatch/contender.ts'
import { meshFolder } from './dispatch/mesh-folder.ts'
import { paired } from './paired.ts'
import { startUpstream } from './upstream.ts'

/** Requests in flight, and connections, the same on both sides. */
const concurrency = 16

/** undici's `Pool.dispatch` against the mesh: route match, least request, breakers, outlier detection, retry policy and metrics on. */
export const benchmark: Benchmark = {
  name: 'dispatch',
  title: 'undici Pool.dispatch against mesh.dispatcher configured over xDS, CPU of the client process, 16 in flight',
  async *run({ quick }): AsyncIterable<Row> {
    await using upstream = await startUpstream()
    await using folder = await meshFolder(upstream.port, concurrency)
    const controlPlane = await startControlPlane({ config: folder.path, xdsPort: 0 })
    const contender = (which: DispatchSettings['which']) => ({
      module: new URL('./dispatch/contender.ts', import.meta.url),
      settings: {
        which,
        port: upstream.port,
        requests: quick ? 20_000 : 100_000,
        // A service runs for days: compiled code is compared, on both sides.
        warmup: quick ? 20_000 : 200_000,
        concurrency,
        controlPlane: controlPlane.xdsAddress,
      },
    })
    try {
      const row = await paired({
        name: 'dispatch',
        unit: 'µs CPU/request',
        baseline: contender('undici'),
        inmesh: contender('mesh'),
        pairs: quick ? 1 : 7,
      })
      yield { ...row, upstream: upstream.kind }
    } finally {
      await controlPlane.close()
    }
  },
}
