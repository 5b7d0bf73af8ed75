import { type Dispatcher, Pool } from 'undici'
import { built, drive, report, settings } from '../contender.ts'
import { quantile } from '../median.ts'
import { processCpu, processMemory } from './process-cpu.ts'

/** What {@link ../sidecar.ts} asks of this process. */
export interface SidecarSettings {
  readonly which: 'direct' | 'envoys' | 'mesh'
  /** Of the upstream, or of the first Envoy. */
  readonly port: number
  readonly staticConfig: string
  /** Processes whose work a request also is. */
  readonly pids: readonly number[]
  readonly requests: number
  readonly concurrency: number
  /** Requests a second while latency is measured, and for how long. */
  readonly rate: number
  readonly seconds: number
}

const { which, port, staticConfig, pids, requests, concurrency, rate, seconds } = settings<SidecarSettings>()
const origin = which === 'mesh' ? 'http://upstream' : `http://127.0.0.1:${port}`
const dispatcher = which === 'mesh' ? await meshDispatcher() : new Pool(origin, { connections: concurrency })

/** One request; resolves with its milliseconds. */
class Call implements Dispatcher.DispatchHandler {
  readonly #resolve: (ms: number) => void
  readonly #begun = performance.now()
  #status = 0

  constructor(resolve: (ms: number) => void) {
    this.#resolve = resolve
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    if (this.#status !== 200) throw new Error(`status ${this.#status}`)
    this.#resolve(performance.now() - this.#begun)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    throw error
  }
}

const call = () => new Promise<number>(resolve => dispatcher.dispatch({ origin, path: '/1k', method: 'GET' }, new Call(resolve)))

const cpu = () => pids.reduce((sum, pid) => sum + processCpu(pid), process.cpuUsage().user + process.cpuUsage().system)

await drive(call, requests / 2, concurrency)
const before = cpu()
await drive(call, requests, concurrency)
const value = (cpu() - before) / requests
const latencies = await paced()
report({
  value,
  p50: quantile(latencies, 0.5),
  p99: quantile(latencies, 0.99),
  memory: processMemory(process.pid),
})
process.exit()

/** Latencies of calls begun at `rate`, whether or not those before have ended. */
async function paced(): Promise<number[]> {
  const calls: Promise<number>[] = []
  const begun = performance.now()
  await new Promise<void>(resolve => {
    const timer = setInterval(() => {
      const due = Math.min(((performance.now() - begun) / 1000) * rate, rate * seconds)
      while (calls.length < due) calls.push(call())
      if (calls.length < rate * seconds) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  return Promise.all(calls)
}

async function meshDispatcher(): Promise<Dispatcher> {
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const mesh = await createMesh({ hosts: ['upstream'], staticConfig })
  return mesh.dispatcher
}
