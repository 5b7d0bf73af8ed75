import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { BadTokenRequestError } from './join-tokens.ts'

/** The socket in the folder of the authority. */
export const adminSocketName = 'admin.sock'

/** The shortest limit of an address among the systems Node runs on. */
const maxSocketPathBytes = 103
const maxBodyBytes = 64 * 1024

/** What an operator can do, by method and path; the JSON body in, the JSON answer out. */
export type AdminMethods = ReadonlyMap<string, (body: unknown) => Promise<unknown>>

/** The request is wrong; the message is for the operator. */
export class BadAdminRequestError extends Error {}

/**
 * HTTP on a Unix socket that only the owner of the folder can reach, which is the authentication. The folder must be held by this
 * process alone, since a socket that is there is taken for one left behind.
 */
export class AdminServer {
  readonly #server: Server
  readonly #methods: AdminMethods

  constructor(methods: AdminMethods) {
    this.#methods = methods
    this.#server = createServer({ requestTimeout: 10_000 }, (request, response) => void this.#respond(request, response))
  }

  /** @throws when the path is too long for a socket */
  async listen(folder: string): Promise<void> {
    const path = join(folder, adminSocketName)
    if (Buffer.byteLength(path) > maxSocketPathBytes)
      throw new Error(`${path} is longer than the ${maxSocketPathBytes} bytes of a socket's path: choose a shorter --data`)
    await rm(path, { force: true })
    this.#server.listen(path)
    await once(this.#server, 'listening')
    await chmod(path, 0o600)
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = this.#methods.get(`${request.method} ${request.url}`)
    try {
      if (!method) return answer(response, 404, { error: 'no such method' })
      if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes || 'transfer-encoding' in request.headers)
        return answer(response, 413, { error: 'the request is too long' })
      const body = await text(request)
      answer(response, 200, await method(body === '' ? undefined : parse(body)))
    } catch (error) {
      const isCallers = error instanceof BadAdminRequestError || error instanceof BadTokenRequestError
      answer(response, isCallers ? 400 : 500, { error: error instanceof Error ? error.message : String(error) })
    }
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new BadAdminRequestError('the body is not JSON')
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
