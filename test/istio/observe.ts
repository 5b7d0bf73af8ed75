import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Backends, Received } from './backends.ts'
import type { CaseRequest } from './cases.ts'
import { servicePort } from './documents.ts'

/** What the caller sees. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends a request to `http://HOST:9080`, through whatever is being judged. */
export type Ask = (host: string, request: CaseRequest) => Promise<Answer>

/** Everything that is compared about one request. */
export type Observation =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly location?: string
      readonly headers: Readonly<Record<string, string>>
      readonly attempts: number
      readonly upstream?: Received
    }
  /** Share of the requests by backend, or by status when no backend was reached. */
  | { readonly kind: 'split'; readonly shares: Readonly<Record<string, number>> }

let tags = 0

/** Asks a host everything that a case asks. */
export async function observe(
  ask: Ask,
  backends: Backends,
  { requests }: { readonly requests: readonly CaseRequest[] },
  host: string,
): Promise<Observation[]> {
  const observations: Observation[] = []
  for (const one of requests) observations.push(one.times ? await split(ask, host, one) : await answer(ask, backends, host, one))
  return observations
}

async function answer(ask: Ask, backends: Backends, host: string, { path, method, headers }: CaseRequest): Promise<Observation> {
  const tag = String(tags++)
  const { status, headers: answered } = await ask(host, {
    path,
    method: method ?? 'GET',
    headers: { ...headers, 'x-tag': tag },
  })
  const received = backends.received(tag)
  const upstream = received.at(-1)
  const seen = Object.fromEntries(Object.entries(answered).filter(([name]) => name.startsWith('x-c-')))
  const { location } = answered
  return {
    kind: 'answer',
    status,
    ...(location ? { location } : {}),
    headers: seen,
    attempts: received.length,
    ...(upstream ? { upstream } : {}),
  }
}

async function split(ask: Ask, host: string, one: CaseRequest): Promise<Observation> {
  const counts: Record<string, number> = {}
  const times = one.times ?? 1
  for (let i = 0; i < times; i++) {
    const { status, body } = await ask(host, {
      path: one.path,
      method: 'GET',
      headers: { ...one.headers, 'x-tag': 'split' },
    })
    const who = status === 200 ? body : String(status)
    counts[who] = (counts[who] ?? 0) + 1
  }
  return {
    kind: 'split',
    shares: Object.fromEntries(
      Object.entries(counts)
        .sort()
        .map(([who, count]) => [who, count / times]),
    ),
  }
}

/** Asks a proxy that listens on the service port of the loopback interface. */
export const askProxy: Ask = (host, { path, method, headers }) =>
  new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      port: servicePort,
      path,
      method,
      headers: { ...headers, host: `${host}:${servicePort}` },
    })
    outgoing.on('error', reject).on('response', async response => {
      const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
      resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), body: await text(response) })
    })
    outgoing.end()
  })
