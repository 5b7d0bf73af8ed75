import type { TestContext } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { request } from 'undici'
import { grpcClientOn } from '../../src/client/grpc/grpc-client.ts'
import { MeshChannel } from '../../src/client/grpc/mesh-channel.ts'
import { EchoClient, startGrpcBackend } from '../support/grpc-backend.ts'
import { startUpstream, unusedPort } from '../support/http-upstream.ts'
import type { TestMesh } from '../support/test-mesh.ts'

/** What a backend does with a call: answers with success, with "unavailable" (503, UNAVAILABLE), or not at all. */
export type Behaviour = 'ok' | 'unavailable' | 'silent'

/** An endpoint of either protocol. */
export interface Backend {
  readonly address: string
  /** Calls that reached it. */
  readonly calls: number
  /** The request headers of the last one. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** What it does from now on; a function decides by the number of the call, from 1. */
  behave(behaviour: Behaviour | ((call: number) => Behaviour)): void
  /** Answers what it was silent about; default with success. */
  answerLate(behaviour?: 'ok' | 'unavailable'): void
}

/** How a call ended. */
export interface CallEnd {
  readonly isOk: boolean
  /** Index of the backend that answered; -1 for none. */
  readonly backend: number
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** One of the two ways of calling through the mesh. */
export interface Transport {
  readonly name: 'HTTP' | 'gRPC'
  /** The path of a call. */
  readonly path: string
  start(t: TestContext): Promise<Backend>
  /** Makes a caller of the authority `echo`. */
  caller(
    t: TestContext,
    mesh: TestMesh,
    backends: readonly Backend[],
  ): (headers?: Readonly<Record<string, string>>) => Promise<CallEnd>
}

/** The address of nobody. */
export const nobody = async (): Promise<string> => `127.0.0.1:${await unusedPort()}`

type Late = (behaviour: 'ok' | 'unavailable') => void

function makeBackend(address: string) {
  const state = {
    calls: 0,
    headers: {} as Readonly<Record<string, string | undefined>>,
    decide: (_call: number): Behaviour => 'ok',
    late: [] as Late[],
  }
  const backend: Backend = {
    address,
    get calls() {
      return state.calls
    },
    get headers() {
      return state.headers
    },
    behave(behaviour) {
      state.decide = typeof behaviour === 'function' ? behaviour : () => behaviour
    },
    answerLate(behaviour = 'ok') {
      for (const answer of state.late.splice(0)) answer(behaviour)
    },
  }
  return { state, backend }
}

const backendOf = (address: string | undefined, backends: readonly Backend[]) =>
  backends.findIndex(backend => backend.address === address)

/** `mesh.dispatcher`, as undici's `request` uses it. */
export const http: Transport = {
  name: 'HTTP',
  path: '/test.Echo/Unary',
  async start(t) {
    const upstream = await startUpstream(t, (seen, response) => {
      state.calls++
      state.headers = seen.headers as Record<string, string>
      response.setHeader('x-backend', backend.address)
      const behaviour = state.decide(state.calls)
      const answer: Late = how => void response.writeHead(how === 'ok' ? 200 : 503).end()
      if (behaviour === 'silent') state.late.push(answer)
      else answer(behaviour)
    })
    const { state, backend } = makeBackend(upstream.address)
    return backend
  },
  caller:
    (_t, { dispatcher }, backends) =>
    async headers => {
      try {
        const answer = await request('http://echo/test.Echo/Unary', { method: 'POST', dispatcher, headers: headers ?? {} })
        await answer.body.dump()
        const received = answer.headers as Record<string, string>
        return { isOk: answer.statusCode === 200, backend: backendOf(received['x-backend'], backends), headers: received }
      } catch {
        return { isOk: false, backend: -1, headers: {} }
      }
    },
}

/** `mesh.channel`, as a client of grpc-js uses it. */
export const grpcCalls: Transport = {
  name: 'gRPC',
  path: '/test.Echo/Unary',
  async start(t) {
    const started = await startGrpcBackend(t, (call, callback) => {
      state.calls++
      const metadataOf = Object.entries(call.metadata.getMap()).map(([name, value]) => [name, String(value)])
      state.headers = { ...Object.fromEntries(metadataOf), host: call.getHost() }
      const behaviour = state.decide(state.calls)
      const metadata = new grpc.Metadata()
      metadata.set('x-backend', backend.address)
      const answer: Late = how => {
        if (how === 'unavailable') return callback({ code: grpc.status.UNAVAILABLE, details: 'unavailable', metadata })
        call.sendMetadata(metadata)
        callback(null, call.request)
      }
      if (behaviour === 'silent') state.late.push(answer)
      else answer(behaviour)
      return true
    })
    const { state, backend } = makeBackend(started.address)
    return backend
  },
  caller(t, { plane }, backends) {
    const channel = (target: string) => new MeshChannel(plane, authority => plane.watch(authority, 'http'), target)
    const client = grpcClientOn({ channel }, EchoClient, 'xds:///echo', {})
    t.after(() => client.close())
    return headers =>
      new Promise(resolve => {
        const metadata = new grpc.Metadata()
        for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value)
        const received: Record<string, string> = {}
        const add = (more: grpc.Metadata) => {
          for (const [name, value] of Object.entries(more.getMap())) received[name] = String(value)
        }
        const call = client.Unary(Buffer.from('x'), metadata, () => {})
        call.on('metadata', add)
        call.on('status', status => {
          add(status.metadata)
          const backend = backendOf(received['x-backend'], backends)
          resolve({ isOk: status.code === 0, backend, headers: received })
        })
      })
  },
}
