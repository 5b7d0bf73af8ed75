// A DENY on /admin, before real servers, against whatever can be done to a path, a method and the headers around it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { type ClientHttp2Stream, createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2'
import { describe, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import express from 'express'
import fastify from 'fastify'
import type { HttpFilter } from '../../src/discovery/model/listener.ts'
import { serveGrpc } from '../../src/server/grpc-server.ts'
import { Http2Registration } from '../../src/server/http2-registration.ts'
import { createMeshServer } from '../../src/server/mesh-server.ts'
import { gateEnvironment, http2On, listen, plain } from '../support/gated-server.ts'
import { inboundState, makeChain } from '../support/inbound-model.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { RawClient } from './raw-client.ts'
import { distance, type Variant, variantsOf } from './variants.ts'

const secret = 'THE PROTECTED BODY'
const open = 'open'
const seed = Number(process.env.ATTACK_SEED ?? 1)
/** Of each server; more than 100,000 of all. */
const count = Number(process.env.ATTACK_COUNT ?? 26_000)
const connections = 16

const path = (kind: 'exact' | 'prefix', value: string) =>
  ({ kind: 'url-path', matcher: { kind, value, ignoreCase: false } }) as const

const deny = (permissions: readonly ReturnType<typeof path>[]): HttpFilter => ({
  name: 'deny',
  config: {
    kind: 'rbac',
    rbac: {
      rules: { action: 'DENY', policies: [{ name: 'admin', permissions, principals: [{ kind: 'any' }] }] },
      shadowRules: undefined,
      shadowRulesStatPrefix: '',
    },
  },
})

function world(denied = deny([path('exact', '/admin'), path('prefix', '/admin/')])) {
  const made = gateEnvironment(undefined)
  made.source.setInbound('server', inboundState(makeChain({ filters: [denied] })))
  return made
}

/** A handler that forgives whatever it can. */
const forgiving: RequestListener = (request, response) => {
  let pathname = request.url ?? ''
  try {
    pathname = decodeURIComponent(new URL(pathname, 'http://a').pathname)
  } catch {}
  const bare = pathname
    .toLowerCase()
    .replaceAll(/;[^/]*/g, '')
    .replaceAll(/\/+/g, '/')
    .replace(/(.)\/$/, '$1')
  response.end(bare === '/admin' || bare.startsWith('/admin/') ? secret : open)
}

const app = express()
app.all('/admin', (_request, response) => void response.send(secret))
app.use('/admin', (_request, response) => void response.send(secret))
app.use((_request, response) => void response.send(open))

/** How many were answered, denied and refused, and those that were answered and are nearest to what is protected. */
class Tally {
  readonly #target: string
  readonly #byStatus = new Map<number, number>()
  readonly #near: { readonly variant: Variant; readonly far: number }[] = []

  constructor(target = '/admin') {
    this.#target = target
  }

  add(variant: Variant, status: number): void {
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1)
    if (status !== 200) return
    this.#near.push({ variant, far: distance(variant.target.slice(0, 60), this.#target) })
    if (this.#near.length < 2000) return
    this.#near.sort((a, b) => a.far - b.far).length = 5
  }

  print(t: TestContext, name: string): void {
    const statuses = [...this.#byStatus].sort(([a], [b]) => a - b).map(([status, times]) => `${status}: ${times}`)
    t.diagnostic(`${name}, seed ${seed}: ${statuses.join(', ')}`)
    const nearest = this.#near.sort((a, b) => a.far - b.far).slice(0, 5)
    for (const { variant } of nearest)
      t.diagnostic(`nearest: ${variant.method} ${JSON.stringify(variant.target)} ${variant.headers.join(' ')}`)
    assert.ok((this.#byStatus.get(403) ?? 0) > 100, 'some were denied')
    assert.ok((this.#byStatus.get(200) ?? 0) > 100, 'some were answered')
    assert.ok((this.#byStatus.get(400) ?? 0) > 100, 'some were refused')
  }
}

async function attack(t: TestContext, name: string, port: number): Promise<void> {
  const variants = variantsOf('/admin', seededRandom(seed), count)
  const tally = new Tally()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new RawClient(port)
      t.after(() => client.close())
      for (const variant of variants) {
        const { status, text } = await client.send(variant)
        assert.ok(!text.includes(secret), `${variant.method} ${JSON.stringify(variant.target)} ${variant.headers.join(' ')}`)
        tally.add(variant, status)
      }
    }),
  )
  tally.print(t, name)
}

describe('B7: a DENY on /admin is not got around', () => {
  test('in node:http', async t => {
    await attack(t, 'node:http', await listen(t, createMeshServer(forgiving, world().environment)))
  })

  test('in Express', async t => {
    await attack(t, 'Express', await listen(t, createMeshServer(app, world().environment)))
  })

  for (const [name, routerOptions] of [
    ['Fastify', {}],
    [
      'Fastify that forgives',
      { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, useSemicolonDelimiter: true } as object,
    ],
  ] as const) {
    test(`in ${name}`, async t => {
      const { environment } = world()
      const instance = fastify({ routerOptions, serverFactory: handler => createMeshServer(handler, environment) })
      instance.all('/admin', async () => secret)
      instance.all('/admin/*', async () => secret)
      instance.setNotFoundHandler(async () => open)
      await instance.ready()
      await attack(t, name, await listen(t, instance.server))
    })
  }

  test('in node:http2', async t => {
    const { environment } = world()
    const server = createHttp2Server((request, response) => forgiving(request as never, response as never))
    const port = await listen(t, server)
    new Http2Registration(server, environment)
    await attackHttp2(t, 'node:http2', port, '/admin')
  })

  test('in grpc-js', async t => {
    const server = new grpc.Server()
    const method = (name: string) => ({
      path: name,
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    })
    const answering =
      (text: string): grpc.handleUnaryCall<Buffer, Buffer> =>
      (_call, done) =>
        done(null, Buffer.from(text))
    const protectedMethod = '/admin.Admin/Read'
    server.addService({ Read: method(protectedMethod) }, { Read: answering(secret) })
    server.addService({ Read: method('/shop.Shop/Read') }, { Read: answering(open) })
    const { environment } = world(deny([path('prefix', '/admin.Admin/')]))
    const options = { host: '127.0.0.1' }
    const { port } = await serveGrpc(server, options, environment, environment.gate?.telemetry ?? assert.fail(), grpc)
    t.after(() => server.forceShutdown())
    await attackHttp2(t, 'grpc-js', port, protectedMethod, {
      'content-type': 'application/grpc',
      te: 'trailers',
    })
  })
})

/** What a gRPC status is, in the tally. */
const httpStatus: Readonly<Record<string, number>> = { 0: 200, 12: 200, 7: 403, 3: 400, 13: 400 }

async function attackHttp2(
  t: TestContext,
  name: string,
  port: number,
  path: string,
  grpcFields?: Readonly<Record<string, string>>,
): Promise<void> {
  const tally = new Tally(path)
  let session = http2On(t, await plain(t, port), 'http')
  for (const variant of variantsOf(path, seededRandom(seed), Math.floor(count / 4))) {
    if (session.closed || session.destroyed) session = http2On(t, await plain(t, port), 'http')
    const { method, target, headers } = variant
    let answer: Awaited<ReturnType<typeof answerOf>>
    try {
      const fields = Object.fromEntries(headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? '']] : [])))
      const pseudo = { ':method': method, ':path': target, ':authority': 'a' }
      const stream = session.request({ ...fields, ...grpcFields, ...pseudo }, { endStream: grpcFields === undefined })
      // A message without a byte.
      if (grpcFields !== undefined) stream.end(Buffer.alloc(5))
      answer = await answerOf(stream)
    } catch {
      // The client itself refuses to send it.
      continue
    }
    assert.ok(!answer.text.includes(secret), `${method} ${JSON.stringify(target)} ${headers.join(' ')}`)
    tally.add(variant, answer.grpcStatus === undefined ? answer.status : (httpStatus[answer.grpcStatus] ?? 500))
  }
  tally.print(t, name)
}

async function answerOf(
  stream: ClientHttp2Stream,
): Promise<{ readonly status: number; readonly grpcStatus: string | undefined; readonly text: string }> {
  let status = 0
  let grpcStatus: string | undefined
  let text = ''
  const note = (headers: IncomingHttpHeaders) => {
    grpcStatus ??= headers['grpc-status']?.toString()
  }
  stream.on('response', headers => {
    status = Number(headers[':status'])
    note(headers)
  })
  stream.on('trailers', note)
  stream.setEncoding('latin1')
  stream.on('data', (chunk: string) => {
    text += chunk
  })
  stream.on('error', () => {})
  await once(stream, 'close')
  return { status, grpcStatus, text }
}
