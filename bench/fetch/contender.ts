import { Pool } from 'undici'
import { built, cpuPerRequest, report, settings } from '../contender.ts'

/** What one request of this benchmark does. */
export type FetchCase = 'get-json' | 'get-stream' | 'post-json' | 'get-100k-arraybuffer' | 'get-100k-stream'

/** What {@link ../fetch.ts} asks of this process. */
export interface FetchSettings {
  /** Node's fetch, `mesh.fetch`, or the same fetch on a bare pool. */
  readonly which: 'node' | 'mesh' | 'pool'
  readonly fetchCase: FetchCase
  /** Where nothing is between the caller and the upstream. */
  readonly url: string
  readonly staticConfig: string
  readonly requests: number
  readonly concurrency: number
}

const { which, fetchCase, url: direct, staticConfig, requests, concurrency } = settings<FetchSettings>()

const url = which === 'mesh' ? 'http://upstream' : direct
const fetch = await (which === 'node' ? globalThis.fetch : which === 'mesh' ? meshFetch() : poolFetch())
const body = { id: 1, text: 'x'.repeat(1000) }

const cases: Record<FetchCase, () => Promise<unknown>> = {
  'get-json': async () => (await fetch(`${url}/1k`)).json(),
  'get-stream': async () => drain(await fetch(`${url}/1k`)),
  'post-json': async () => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${url}/echo`, { method: 'POST', headers, body: JSON.stringify(body) })).json()
  },
  'get-100k-arraybuffer': async () => (await fetch(`${url}/100k`)).arrayBuffer(),
  'get-100k-stream': async () => drain(await fetch(`${url}/100k`)),
}

report(await cpuPerRequest(cases[fetchCase], { warmup: Math.max(requests / 3, 1000), requests, concurrency }))
process.exit()

async function meshFetch(): Promise<typeof globalThis.fetch> {
  const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
  const mesh = await createMesh({ hosts: ['upstream'], staticConfig })
  return mesh.fetch
}

async function poolFetch(): Promise<typeof globalThis.fetch> {
  const { createFetch } = await built<typeof import('../../src/client/http/fetch.ts')>('client/http/fetch')
  return createFetch(new Pool(url, { connections: concurrency }))
}

async function drain(response: Response): Promise<number> {
  let bytes = 0
  for await (const chunk of response.body ?? []) bytes += chunk.byteLength
  return bytes
}
