import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Dispatcher, Pool } from 'undici'
import { drive, report, settings } from '../contender.ts'
import { quantile } from '../median.ts'
import { processCpu } from '../sidecar/process-cpu.ts'
import { meshOf } from './mesh.ts'

/** What {@link ../mtls.ts} asks of this process. */
export interface MtlsSettings {
  /** `direct`: undici to the port; `direct-tls`: the same by mutual TLS with a connection for each request; else the mesh by that file. */
  readonly which: 'direct' | 'direct-tls' | 'plain' | 'mtls' | 'once'
  readonly folder: string
  readonly port: number
  /** Processes whose work a request also is. */
  readonly pids: readonly number[]
  readonly requests: number
  readonly concurrency: number
  /** Requests a second while latency is measured, and for how long; 0: not measured. */
  readonly rate: number
  readonly seconds: number
}

const { which, folder, port, pids, requests, concurrency, rate, seconds } = settings<MtlsSettings>()
const isDirect = which === 'direct' || which === 'direct-tls'
const origin = isDirect ? `http${which === 'direct' ? '' : 's'}://127.0.0.1:${port}` : 'http://upstream'
const read = (name: string) => readFileSync(join(folder, name))

async function make(): Promise<Dispatcher> {
  if (!isDirect) return (await meshOf(folder, `${which}-client.json`, 'client', ['upstream'])).dispatcher
  if (which === 'direct') return new Pool(origin, { connections: concurrency })
  // As careful as the mesh: nothing is resumed.
  const tls = { cert: read('client.crt'), key: read('client.key'), ca: read('ca.crt'), maxCachedSessions: 0 }
  return new Pool(origin, {
    connections: concurrency,
    maxRequestsPerClient: 1,
    connect: { ...tls, checkServerIdentity: () => undefined },
  })
}

const dispatcher = await make()

async function call(): Promise<number> {
  const begun = performance.now()
  const { statusCode, body } = await dispatcher.request({ origin, path: '/1k', method: 'GET' })
  await body.dump()
  if (statusCode !== 200) throw new Error(`status ${statusCode}`)
  return performance.now() - begun
}

const cpu = () => pids.reduce((sum, pid) => sum + processCpu(pid), process.cpuUsage().user + process.cpuUsage().system)

await drive(call, requests / 2, concurrency)
const before = cpu()
await drive(call, requests, concurrency)
const value = (cpu() - before) / requests
const latencies = rate === 0 ? [] : await paced()
report({ value, ...(latencies.length > 0 ? { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) } : undefined) })
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
