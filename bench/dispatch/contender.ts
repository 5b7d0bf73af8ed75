import { type Dispatcher, Pool } from 'undici'
import { built, report, settings } from '../contender.ts'
import { meshHost } from './mesh-folder.ts'

/** What {@link ../dispatch.ts} asks of this process. */
export interface DispatchSettings {
  readonly which: 'undici' | 'mesh'
  /** Where `/1k` is. */
  readonly port: number
  readonly requests: number
  /** Requests before measuring begins; default a quarter of {@link requests}, at least 5,000. */
  readonly warmup?: number
  readonly concurrency: number
  /** `host:port`, from where the mesh has its configuration. */
  readonly controlPlane: string
  /** Traces 1 % of the calls and exports to this OTLP endpoint. Default: no SDK. */
  readonly otlpEndpoint?: string
}

const { which, port, requests, concurrency, controlPlane, otlpEndpoint, warmup } = settings<DispatchSettings>()

const origin = which === 'undici' ? `http://127.0.0.1:${port}` : `http://${meshHost}`
const dispatcher = which === 'undici' ? new Pool(origin, { connections: concurrency }) : await meshDispatcher()
const options: Dispatcher.DispatchOptions = { origin, path: '/1k', method: 'GET' }

/** Sends the next request when one has ended: no promise, so that only dispatching is measured. */
class Lane implements Dispatcher.DispatchHandler {
  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number): void {
    if (statusCode !== 200) throw new Error(`status ${statusCode}`)
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    next()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    throw error
  }
}

let left = 0
let running = 0
let finished = () => {}

function next(): void {
  if (left === 0) {
    running--
    if (running === 0) finished()
    return
  }
  left--
  dispatcher.dispatch(options, new Lane())
}

function drive(count: number): Promise<void> {
  return new Promise(resolve => {
    left = count
    running = concurrency
    finished = resolve
    for (let lane = 0; lane < concurrency; lane++) next()
  })
}

await drive(warmup ?? Math.max(requests / 4, 5000))
const begun = performance.now()
const before = process.cpuUsage()
await drive(requests)
const used = process.cpuUsage(before)
report({
  value: (used.user + used.system) / requests,
  perSecond: requests / ((performance.now() - begun) / 1000),
})
process.exit()

async function meshDispatcher(): Promise<Dispatcher> {
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const mesh = await createMesh({
    hosts: [meshHost],
    env: { INMESH_CONTROL_PLANE: controlPlane, INMESH_SERVICE: 'bench' },
  })
  if (otlpEndpoint !== undefined && mesh.telemetry !== null) {
    // Exporters read these from the process itself.
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint,
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.01',
    })
    const { startOtel } = await built<typeof import('../../src/otel.ts')>('otel')
    startOtel({ telemetry: mesh.telemetry })
  }
  return mesh.dispatcher
}
