import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { Agent } from 'undici'
import { createFetch } from '../../../src/client/http/fetch.ts'

type Fetch = typeof globalThis.fetch

/** What a case gets: one of the two fetches, and where to call. */
export interface Stage {
  readonly fetch: Fetch
  /** `http://127.0.0.1:port` */
  readonly url: string
  /** The same server under another origin. */
  readonly other: string
}

/** One thing that Node's fetch and ours must do alike. */
export interface Case {
  readonly name: string
  /** Default `/`. */
  readonly path?: string
  readonly init?: (stage: Stage) => RequestInit | undefined
  /** Answers in place of the echo. */
  readonly serve?: (request: IncomingMessage, response: ServerResponse, stage: Pick<Stage, 'url' | 'other'>) => void
  /** In place of fetching `path` with `init` and describing the whole response. */
  readonly act?: (stage: Stage) => unknown
  /** Where what the server saw depends on when a connection broke. */
  readonly ignoreServer?: boolean
}

/** Runs each case through Node's fetch and through ours against one server, and compares all that both ends saw. */
export function compare(cases: readonly Case[]): void {
  const agent = new Agent()
  const ours = createFetch(agent)
  let url = ''
  let other = ''
  let serve: Case['serve']
  let seen: unknown[] = []

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const { method, url: path, headersDistinct } = request
    const record = { method, path, headers: normal(headersDistinct), body: '' }
    seen.push(record)
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      record.body = normalText(Buffer.concat(chunks).toString('latin1'))
      if (serve !== undefined) serve(request, response, { url, other })
      else echo(response, record.body)
    })
  }
  const servers = [createServer(handle), createServer(handle)] as const

  before(async () => {
    const [first, second] = await Promise.all(servers.map(server => listen(server)))
    url = `http://127.0.0.1:${first}`
    other = `http://127.0.0.1:${second}`
  })
  after(async () => {
    await agent.destroy()
    for (const server of servers) {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  })

  const run = async (fetch: Fetch, { path = '/', init, act, ignoreServer }: Case) => {
    seen = []
    const stage = { fetch, url, other }
    let result: unknown
    try {
      result = act ? await act(stage) : await describeResponse(await fetch(url + path, init?.(stage)))
    } catch (error) {
      result = { thrown: describeError(error) }
    }
    return { result, seen: ignoreServer ? [] : seen }
  }

  for (const each of cases) {
    test(each.name, { timeout: 3000 }, async () => {
      serve = each.serve
      const expected = await run(globalThis.fetch, each)
      const actual = await run(ours, each)
      assert.deepEqual(actual, expected)
    })
  }
}

/** Everything a caller can see of a response without and with reading it. */
export async function describeResponse(response: Response): Promise<unknown> {
  const { status, statusText, ok, type, url, redirected } = response
  const bodyless = response.body === null
  const before = response.bodyUsed
  let body: unknown
  try {
    body = Buffer.from(await response.arrayBuffer()).toString('latin1')
  } catch (error) {
    body = describeError(error)
  }
  const headers = [...response.headers].filter(([name]) => !unsteady.has(name))
  return { status, statusText, ok, type, url, redirected, headers, bodyless, before, after: response.bodyUsed, body }
}

/** Name, message, code and the chain of causes of whatever was thrown. */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { value: error }
  const code = 'code' in error ? error.code : undefined
  const cause = error.cause === undefined ? undefined : describeError(error.cause)
  return { type: error.constructor.name, name: error.name, message: error.message, code, cause }
}

const unsteady = new Set(['date', 'keep-alive'])

function normal(headers: NodeJS.Dict<string[]>): unknown {
  const entries = Object.entries(headers).map(([name, values = []]) => [name, values.map(value => normalText(value))] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function normalText(text: string): string {
  return text.replace(/----formdata-undici-\d+/g, 'BOUNDARY')
}

function echo(response: ServerResponse, body: string): void {
  response.setHeader('content-type', 'text/plain')
  response.end(`echo ${body}`)
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}
