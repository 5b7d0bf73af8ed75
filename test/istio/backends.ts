import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BackendPorts } from './documents.ts'

/** What a backend saw of a request. */
export interface Received {
  readonly backend: string
  readonly method: string
  readonly path: string
  readonly host: string
  readonly headers: Readonly<Record<string, string>>
}

const versions = ['v1', 'v2', 'v3'] as const

/**
 * Three backends that do what the request says: `x-answer` is the status, `x-reset` closes the connection, `x-delay-ms` waits,
 * and `x-answer-times` says for how many attempts of the same `x-tag`.
 */
export class Backends {
  readonly #servers: readonly Server[]
  readonly #received = new Map<string, Received[]>()

  private constructor() {
    this.#servers = versions.map(version =>
      createServer((request, response) => {
        const attempt = this.#record(version, request)
        const { 'x-answer': answer, 'x-reset': reset, 'x-delay-ms': delay, 'x-answer-times': times } = request.headers
        const obey = attempt <= Number(times ?? Number.POSITIVE_INFINITY)
        if (reset && obey) return request.socket.destroy()
        const end = () => {
          response.statusCode = obey && answer ? Number(answer) : 200
          response.setHeader('x-c-version', version)
          response.end(version)
        }
        if (delay && obey) {
          const timer = setTimeout(end, Number(delay))
          response.on('close', () => clearTimeout(timer))
        } else end()
      }),
    )
  }

  static async start(): Promise<Backends> {
    const backends = new Backends()
    await Promise.all(backends.#servers.map(server => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))))
    return backends
  }

  get ports(): BackendPorts {
    const [v1 = 0, v2 = 0, v3 = 0] = this.#servers.map(server => (server.address() as AddressInfo).port)
    return { v1, v2, v3 }
  }

  /** Every attempt that carried `tag`, in order. */
  received(tag: string): readonly Received[] {
    return this.#received.get(tag) ?? []
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections()
      server.close()
    }
  }

  #record(backend: string, request: IncomingMessage): number {
    const tag = String(request.headers['x-tag'])
    const observed = Object.entries(request.headers).filter(([name]) => name.startsWith('x-c-'))
    const headers = Object.fromEntries(observed.map(([name, value]) => [name, String(value)]))
    const all = this.#received.get(tag) ?? []
    all.push({ backend, method: request.method ?? '', path: request.url ?? '', host: request.headers.host ?? '', headers })
    this.#received.set(tag, all)
    return all.length
  }
}
