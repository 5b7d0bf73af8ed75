import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startControlPlane } from '@inmesh/control-plane'
import type { Benchmark, Row } from './benchmark.ts'
import type { DispatchSettings } from './dispatch/contender.ts'
import { meshFolder } from './dispatch/mesh-folder.ts'
import { paired } from './paired.ts'
import { startUpstream } from './upstream.ts'

/** Requests in flight, and connections, the same on both sides. */
const concurrency = 16

/** As `dispatch`, with the OpenTelemetry SDK on the mesh's side: 1 % of the traces are sampled and exported, all are carried on. */
export const benchmark: Benchmark = {
  name: 'dispatch-traced',
  title: 'undici Pool.dispatch without tracing against mesh.dispatcher with 1 % of traces sampled and exported over OTLP',
  async *run({ quick }): AsyncIterable<Row> {
    await using upstream = await startUpstream()
    await using folder = await meshFolder(upstream.port, concurrency)
    const controlPlane = await startControlPlane({ config: folder.path, xdsPort: 0 })
    const receiver = createServer((request, response) => request.resume().on('end', () => response.end())).listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    const { port } = receiver.address() as AddressInfo
    const contender = (settings: Pick<DispatchSettings, 'which' | 'otlpEndpoint'>) => ({
      module: new URL('./dispatch/contender.ts', import.meta.url),
      settings: {
        ...settings,
        port: upstream.port,
        requests: quick ? 20_000 : 100_000,
        // The exporter has run several times: what it costs to load is no part of a call.
        warmup: quick ? 100_000 : 300_000,
        concurrency,
        controlPlane: controlPlane.xdsAddress,
      },
    })
    try {
      const row = await paired({
        name: 'dispatch-traced',
        unit: 'µs CPU/request',
        baseline: contender({ which: 'undici' }),
        inmesh: contender({ which: 'mesh', otlpEndpoint: `http://127.0.0.1:${port}` }),
        pairs: quick ? 1 : 7,
      })
      yield { ...row, upstream: upstream.kind }
    } finally {
      receiver.closeAllConnections()
      receiver.close()
      await controlPlane.close()
    }
  },
}
