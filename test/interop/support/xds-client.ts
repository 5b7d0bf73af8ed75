import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client, credentials } from '@grpc/grpc-js'
import { createMesh, type Mesh } from '../../../src/index.ts'
import { silentLogger } from '../../../src/runtime.ts'
import { goProgram, python } from '../../support/peers.ts'
import { makeCall } from './make-call.ts'
import type { ClientName } from './xds-client-case.ts'

/** A call for a client to make. */
export interface ClientCall {
  readonly id: string
  /** `xds:///host:port` */
  readonly target: string
  readonly method: string
  readonly metadata: Readonly<Record<string, string>>
  readonly deadlineMs: number
}

/** What came of a call. */
export interface ClientAnswer {
  readonly id: string
  /** Text; empty without one. */
  readonly reply: string
  readonly code: number
  readonly message: string
  /** The trailer `x-version`, or empty. */
  readonly version: string
  /** Whom the client says that it spoke to. */
  readonly peer: string
  readonly elapsedMs: number
}

/** A gRPC client by xDS. */
export interface XdsClient {
  /** Makes the calls, so many at once, and gives their answers in the order of the calls. */
  make(calls: readonly ClientCall[], parallel: number): Promise<readonly ClientAnswer[]>
  close(): Promise<void>
}

/** Starts a program that reads batches of calls as lines and writes answers as lines; `bootstrap` is what its environment has more. */
export function startProgram(command: string, args: readonly string[], bootstrap: Readonly<Record<string, string>>): XdsClient {
  const child = spawn(command, args, { env: { ...process.env, ...bootstrap }, stdio: ['pipe', 'pipe', 'pipe'] })
  const answers = new Map<string, (answer: ClientAnswer) => void>()
  let log = ''
  child.stderr.on('data', chunk => {
    log = `${log}${chunk}`.slice(-4000)
  })
  createInterface(child.stdout).on('line', line => {
    const answer: ClientAnswer = JSON.parse(line)
    answers.get(answer.id)?.(answer)
    answers.delete(answer.id)
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the client ended with ${code}:\n${log}`)
  })
  ended.catch(() => {})
  return {
    make(calls, parallel) {
      const all = calls.map(({ id }) => new Promise<ClientAnswer>(resolve => answers.set(id, resolve)))
      child.stdin.write(`${JSON.stringify({ parallel, calls })}\n`)
      return Promise.race([Promise.all(all), ended])
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Ours, in this process. */
export function inProcess(mesh: Mesh): XdsClient {
  const clients = new Map<string, Client>()
  const to = (target: string) => {
    const client =
      clients.get(target) ?? new Client(target, credentials.createInsecure(), { channelOverride: mesh.channel(target) })
    clients.set(target, client)
    return client
  }
  return {
    async make(calls, parallel) {
      const answers: ClientAnswer[] = []
      const left = calls.entries()
      const work = async () => {
        for (const [index, call] of left) answers[index] = await makeCall(to(call.target), call)
      }
      await Promise.all(Array.from({ length: parallel }, work))
      return answers
    },
    async close() {
      for (const client of clients.values()) client.close()
      await mesh.close()
    },
  }
}

/** A gRPC bootstrap, as an object and as a file. */
export interface ClientBootstrap {
  readonly json: { readonly [name: string]: unknown }
  readonly file: string
}

const folder = join(import.meta.dirname, '..')

/** How each client is started; installing and building come first, the first time. */
export const startClient: Readonly<Record<ClientName, (bootstrap: ClientBootstrap) => Promise<XdsClient>>> = {
  'grpc-go': async ({ file }) => startProgram(goProgram('test/interop/grpc-go-xds'), [], { GRPC_XDS_BOOTSTRAP: file }),
  grpcio: async ({ file }) => startProgram(python('grpcio'), [join(folder, 'grpcio/calls.py')], { GRPC_XDS_BOOTSTRAP: file }),
  inmesh: async ({ json }) => inProcess(await createMesh({ bootstrap: json, env: {}, runtime: { logger: silentLogger } })),
}
