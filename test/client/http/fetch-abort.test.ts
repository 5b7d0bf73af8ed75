import { once } from 'node:events'
import { describe } from 'node:test'
import { type Case, compare, describeError, describeResponse } from './fetch-oracle.ts'

const attempt = async (work: () => unknown) => {
  try {
    return await work()
  } catch (error) {
    return describeError(error)
  }
}

const never: NonNullable<Case['serve']> = () => {}
/** Sends headers and `first`, and never ends. */
const begin =
  (first: string | Buffer = 'first'): NonNullable<Case['serve']> =>
  (_request, response) => {
    response.flushHeaders()
    response.write(first)
  }
const half = begin()
/** An aborted request may reach the server or not. */
const unseen = (each: Case): Case => ({ ...each, ignoreServer: true })
const tick = () => new Promise(resolve => setImmediate(resolve))

const reasons: Record<string, unknown> = {
  'no reason': undefined,
  'an error': new RangeError('why'),
  text: 'why',
  null: null,
  object: { why: true },
}

const before: Case[] = Object.entries(reasons).flatMap(([name, reason]): Case[] => [
  { name: `before the call, with ${name}`, init: () => ({ signal: AbortSignal.abort(reason) }) },
  {
    name: `in the tick of the call, with ${name}`,
    serve: never,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = fetch(url, { signal: controller.signal })
      controller.abort(reason)
      return describeResponse(await response)
    },
  },
  {
    name: `before the headers, with ${name}`,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = fetch(url, { signal: controller.signal })
      await tick()
      controller.abort(reason)
      return describeResponse(await response)
    },
    serve: never,
  },
  ...(['text', 'json', 'arrayBuffer', 'bytes', 'blob'] as const).map(
    (form): Case => ({
      name: `during ${form}(), with ${name}`,
      serve: half,
      act: async ({ fetch, url }) => {
        const controller = new AbortController()
        const response = await fetch(url, { signal: controller.signal })
        const read = attempt(() => response[form]())
        await tick()
        controller.abort(reason)
        return [await read, response.bodyUsed]
      },
    }),
  ),
  {
    name: `between the headers and reading, with ${name}`,
    serve: half,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      controller.abort(reason)
      return [response.status, response.bodyUsed, await attempt(() => response.text())]
    },
  },
  {
    name: `of a body that has come but was not read, with ${name}`,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      for (let i = 0; i < 5; i++) await tick()
      controller.abort(reason)
      return attempt(() => response.text())
    },
  },
  {
    name: `after clone, with ${name}`,
    serve: half,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      const copy = response.clone()
      const reads = [attempt(() => response.text()), attempt(() => copy.text())]
      await tick()
      controller.abort(reason)
      return Promise.all(reads)
    },
  },
  {
    name: `after clone and before reading, with ${name}`,
    serve: half,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      const copy = response.clone()
      controller.abort(reason)
      return [await attempt(() => response.text()), await attempt(() => copy.text())]
    },
  },
  {
    name: `while a stream is read, with ${name}`,
    serve: half,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      const reader = response.body?.getReader()
      const first = await reader?.read()
      const second = attempt(() => reader?.read())
      controller.abort(reason)
      return [Buffer.from(first?.value ?? []).toString(), await second, await attempt(() => reader?.closed)]
    },
  },
  {
    name: `while a compressed body is read, with ${name}`,
    serve: (_request, response) => {
      response.setHeader('content-encoding', 'gzip')
      begin(Buffer.from('1f8b0800', 'hex'))(_request, response, { url: '', other: '' })
    },
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      const read = attempt(() => response.text())
      await tick()
      controller.abort(reason)
      return read
    },
  },
  {
    name: `of a Request, with ${name}`,
    serve: half,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(new Request(url, { signal: controller.signal }))
      const read = attempt(() => response.text())
      await tick()
      controller.abort(reason)
      return read
    },
  },
  {
    name: `after all was read, with ${name}`,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      const text = await response.text()
      controller.abort(reason)
      return [text, await describeResponse(await fetch(url))]
    },
  },
])

/** A body that tells whether and why it was cancelled. */
function upload(): { body: ReadableStream; cancelled: Promise<unknown> } {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const body = new ReadableStream({
    pull: controller => tick().then(() => controller.enqueue(Buffer.alloc(1024))),
    cancel: reason => resolve(reason instanceof Error ? reason.message : reason),
  })
  return { body, cancelled: promise }
}

const uploads: Case[] = [
  {
    name: 'before the call, the body is cancelled',
    act: async ({ fetch, url }) => {
      const { body, cancelled } = upload()
      const init = { method: 'POST', body, duplex: 'half', signal: AbortSignal.abort('why') } as RequestInit
      return [await attempt(() => fetch(url, init)), await cancelled]
    },
  },
  {
    name: 'the signal times out',
    serve: never,
    act: async ({ fetch, url }) => {
      const signal = AbortSignal.timeout(20)
      const failed = attempt(() => fetch(url, { signal }))
      return [await failed, signal.aborted]
    },
  },
  {
    name: 'any of two signals',
    serve: never,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const signal = AbortSignal.any([controller.signal, new AbortController().signal])
      const failed = attempt(() => fetch(url, { signal }))
      await tick()
      controller.abort('one of them')
      return failed
    },
  },
  {
    name: 'in the second of two redirects',
    serve: (request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/second' }).end()
    },
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const failed = attempt(() => fetch(url, { signal: controller.signal }))
      for (let i = 0; i < 20; i++) await tick()
      controller.abort('why')
      return failed
    },
  },
  {
    name: 'two calls of one signal',
    serve: never,
    act: async ({ fetch, url }) => {
      const controller = new AbortController()
      const calls = [1, 2, 3].map(() => attempt(() => fetch(url, { signal: controller.signal })))
      await tick()
      controller.abort('all')
      return Promise.all(calls)
    },
  },
]

const cancels: Case[] = [
  {
    name: 'a cancelled body ends the connection',
    serve: half,
    act: async ({ fetch, url }) => {
      const response = await fetch(url)
      await response.body?.cancel('why')
      return [
        response.bodyUsed,
        await describeResponse(await fetch(`${url}/next`, { signal: AbortSignal.abort() }).catch(() => response)),
      ]
    },
  },
  {
    name: 'back-pressure: what nobody reads is not taken',
    act: async ({ fetch, url }) => {
      const response = await fetch(`${url}/flood`)
      const bytes = await flooded
      const isHeldBack = bytes < 40_000_000
      await response.body?.cancel()
      return isHeldBack
    },
    serve: (_request, response) => {
      let sent = 0
      const chunk = Buffer.alloc(1_000_000)
      const { promise, resolve } = Promise.withResolvers<number>()
      flooded = promise
      while (sent < 40_000_000 && response.write(chunk)) sent += chunk.length
      // The socket stops taking bytes and does not go on until somebody reads.
      once(response, 'drain', { signal: AbortSignal.timeout(100) }).then(
        () => resolve(sent),
        () => resolve(sent),
      )
      response.on('error', () => {})
    },
  },
]

let flooded: Promise<number> = Promise.resolve(0)

describe('abort', () => compare(before.map(unseen)))
describe('abort of uploads, redirects and several calls', () => compare(uploads.map(unseen)))
describe('cancel', () => compare(cancels))
