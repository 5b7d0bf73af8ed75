import type { TestContext } from 'node:test'
import { Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { limitMs } from './defect-resources.ts'

/** The method that every {@link DefectBackend} answers. */
export const echoPath = '/inmesh.test.Echo/Echo'

/** A call, or an attempt of one, as a backend saw it. */
export interface SeenCall {
  /** Its request. */
  readonly id: string
  /** Of the monotonic clock. */
  readonly atMs: number
  /** What was left of its deadline. */
  readonly leftMs: number
}

/** A server whose answers have its name in the trailer `x-version`, and that does with a call what its metadata says. */
export class DefectBackend {
  /** `127.0.0.1:port` */
  readonly address: string
  readonly seen: SeenCall[] = []
  readonly #held: (() => void)[] = []
  readonly #waiting = new Set<() => void>()

  private constructor(address: string) {
    this.address = address
  }

  /** Starts one and ends it with the test. */
  static async start(t: TestContext, name: string, paths: readonly string[] = [echoPath]): Promise<DefectBackend> {
    const server = new Server()
    t.after(() => server.forceShutdown())
    let backend: DefectBackend | undefined
    const handle = (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => backend?.onCall(name, call, done)
    const write = (text: string) => Buffer.from(text)
    const read = (bytes: Buffer) => bytes.toString()
    for (const path of paths) server.register(path, handle, write, read, 'unary')
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    backend = new DefectBackend(`127.0.0.1:${port}`)
    return backend
  }

  /** Attempts of the call, in order. */
  attemptsOf(id: string): readonly SeenCall[] {
    return this.seen.filter(call => call.id === id)
  }

  /** Whether a call, which must succeed, came with a deadline no later than {@link limitMs}. */
  async isLimited(call: Promise<{ readonly id: string; readonly code: number }>): Promise<boolean> {
    const { id, code } = await call
    const [attempt] = this.attemptsOf(id)
    if (code !== status.OK || attempt === undefined) throw new Error(`${id} ended with ${code}`)
    return attempt.leftMs <= limitMs
  }

  /** Resolves when a call with that id is here. */
  async arrival(id: string): Promise<void> {
    while (this.attemptsOf(id).length === 0) await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  /** Answers the calls that came with `x-hold`. */
  release(): void {
    for (const answer of this.#held.splice(0)) answer()
  }

  private onCall(name: string, call: ServerUnaryCall<string, string>, done: sendUnaryData<string>): void {
    const { request: id, metadata } = call
    this.seen.push({ id, atMs: performance.now(), leftMs: Number(call.getDeadline()) - Date.now() })
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
    const trailers = new Metadata()
    trailers.set('x-version', name)
    const failures = Number(metadata.get('x-failures')[0] ?? 0)
    const answer = () =>
      this.attemptsOf(id).length <= failures
        ? done({ code: status.UNAVAILABLE, details: 'as asked', metadata: trailers })
        : done(null, name, trailers)
    if (metadata.get('x-hold').length > 0) this.#held.push(answer)
    else answer()
  }
}
