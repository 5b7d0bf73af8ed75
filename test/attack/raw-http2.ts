import type { Socket } from 'node:net'

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** Types of frames (RFC 9113, section 6). */
export const frameType = { headers: 1, rstStream: 3, settings: 4, goaway: 7, continuation: 9 } as const

/** Flags of HEADERS and CONTINUATION. */
export const frameFlag = { endStream: 1, endHeaders: 4 } as const

/** One frame. */
export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Headers as literals that are never indexed (RFC 7541, section 6.2.2); names and values of up to 126 bytes. */
export function literals(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')])
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]))
}

/** What every request has. */
export const requestLiterals = literals([
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a'],
  [':path', '/'],
])

/** Speaks HTTP/2 frame by frame, and takes notes of the types of those that come back until the connection is closed. */
export function speakHttp2(socket: Socket): { readonly types: readonly number[]; readonly closed: Promise<void> } {
  const types: number[] = []
  let received = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      types.push(received.readUInt8(3))
      received = received.subarray(9 + received.readUIntBE(0, 3))
    }
  })
  socket.write(Buffer.concat([Buffer.from(preface), frame(frameType.settings, 0, 0)]))
  return { types, closed: new Promise(resolve => socket.once('close', () => resolve())) }
}
