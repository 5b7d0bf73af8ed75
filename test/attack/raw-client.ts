import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Variant } from './variants.ts'

/** An answer, as far as it is of interest. */
export interface RawAnswer {
  /** 0: the connection was closed without one. */
  readonly status: number
  readonly text: string
}

/** Sends requests of HTTP/1 as they are, byte for byte, over one connection for as long as the server keeps it. */
export class RawClient {
  readonly #port: number
  #socket: Socket | null = null
  #received = ''
  #wake: () => void = () => {}

  constructor(port: number) {
    this.#port = port
  }

  async send({ method, target, headers }: Variant): Promise<RawAnswer> {
    const socket = await this.#connection()
    this.#received = ''
    let lines = `${method} ${target} HTTP/1.1\r\nhost: a\r\n`
    for (let at = 0; at < headers.length; at += 2) lines += `${headers[at]}: ${headers[at + 1]}\r\n`
    socket.write(`${lines}\r\n`, 'latin1')
    for (;;) {
      const answer = this.#answer(method)
      if (answer !== null) return answer
      if (socket.destroyed) {
        this.#socket = null
        return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(this.#received)?.[1] ?? 0), text: this.#received }
      }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#socket?.destroy()
  }

  async #connection(): Promise<Socket> {
    if (this.#socket !== null && !this.#socket.destroyed && this.#socket.writable) return this.#socket
    const socket = connect(this.#port, '127.0.0.1')
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => this.#wake())
    await once(socket, 'connect')
    this.#socket = socket
    return socket
  }

  /** The whole answer; `null` while it is not there. A connection that is to be closed is not used again. */
  #answer(method: string): RawAnswer | null {
    let from = 0
    // Of what only says that there is more to come, there is more to come.
    while (this.#received.startsWith('HTTP/1.1 100', from)) {
      const end = this.#received.indexOf('\r\n\r\n', from)
      if (end < 0) return null
      from = end + 4
    }
    const head = this.#received.indexOf('\r\n\r\n', from)
    if (head < 0) return null
    const headers = this.#received.slice(from, head)
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(headers)?.[1] ?? 0)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(headers)?.[1] ?? 0)
    const isChunked = /\r\ntransfer-encoding: chunked/i.test(headers)
    const body = this.#received.slice(head + 4)
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304
    if (hasBody && isChunked && !body.includes('0\r\n\r\n')) return null
    if (hasBody && body.length < length) return null
    if (/\r\nconnection: close/i.test(headers) || status === 101) {
      this.#socket?.destroy()
      this.#socket = null
    }
    return { status, text: this.#received }
  }
}
