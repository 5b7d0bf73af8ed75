import type { Dispatcher } from 'undici'
import { built, report, settings } from '../contender.ts'

const { requests, staticConfig } = settings<{ requests: number; staticConfig: string }>()

const headers = { 'content-type': 'application/json', 'content-length': '2', date: 'now', server: 'fake' }
const chunk = Buffer.from('{}')
const trailers = {}

class Controller implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason = null
  rawHeaders = null
  rawTrailers = null
  abort(): void {}
  pause(): void {}
  resume(): void {}
}

/** A pool that answers before `dispatch` returns, with the calls that undici makes for a GET. */
const pool = {
  dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const controller = new Controller()
    handler.onRequestStart?.(controller, null)
    handler.onRequestSent?.()
    handler.onResponseStarted?.()
    handler.onResponseStart?.(controller, 200, headers, 'OK')
    handler.onResponseData?.(controller, chunk)
    handler.onResponseEnd?.(controller, trailers)
    return true
  },
}

class Caller implements Dispatcher.DispatchHandler {
  onRequestStart(): void {}
  onResponseStart(): void {}
  onResponseData(): void {}
  onResponseEnd(): void {}
  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    throw error
  }
}

const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
const { Endpoint } = await built<typeof import('../../src/client/endpoint.ts')>('client/endpoint')
// Every endpoint has the fake for its connections.
Object.defineProperty(Endpoint.prototype, 'http', { get: () => ({ get: () => pool }) })
const mesh = await createMesh({ staticConfig, hosts: ['upstream'], env: {} })
const options: Dispatcher.DispatchOptions = { origin: 'http://upstream', path: '/1k', method: 'GET' }

function run(dispatcher: Pick<Dispatcher, 'dispatch'>, count: number): void {
  for (let request = 0; request < count; request++) dispatcher.dispatch(options, new Caller())
}

/** Nanoseconds and bytes per request. The heap only grows between two collections, so short runs tell what is allocated. */
async function measure(dispatcher: Pick<Dispatcher, 'dispatch'>): Promise<{ ns: number; bytes: number }> {
  run(dispatcher, requests / 4)
  await new Promise(resolve => setImmediate(resolve))
  const before = process.cpuUsage()
  for (let turn = 0; turn < 10; turn++) {
    run(dispatcher, requests / 10)
    await new Promise(resolve => setImmediate(resolve))
  }
  const used = process.cpuUsage(before)
  globalThis.gc?.()
  const heapBefore = process.memoryUsage().heapUsed
  run(dispatcher, 2000)
  const bytes = (process.memoryUsage().heapUsed - heapBefore) / 2000
  return { ns: ((used.user + used.system) * 1000) / requests, bytes }
}

const alone = await measure(pool)
const meshed = await measure(mesh.dispatcher)
report({ value: meshed.ns - alone.ns, bytes: meshed.bytes - alone.bytes, fakePoolNs: alone.ns })
process.exit()
