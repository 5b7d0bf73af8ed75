/** Into what a whole body is turned. */
export type BodyForm = 'text' | 'json' | 'arrayBuffer' | 'bytes'

/** What each form yields. */
export interface BodyForms {
  text: string
  json: unknown
  arrayBuffer: ArrayBuffer
  bytes: Uint8Array<ArrayBuffer>
}

/**
 * Turns the chunks of a whole body, `size` bytes together, into what the caller asked for. Memory of the chunks is never handed out.
 *
 * @throws SyntaxError where `json` is not JSON
 */
export function formOf(form: BodyForm, chunks: readonly Buffer[], size: number): BodyForms[BodyForm] {
  switch (form) {
    case 'text':
      return decode(chunks, size)
    case 'json':
      return JSON.parse(decode(chunks, size))
    case 'arrayBuffer':
      return join(chunks, size).buffer
    case 'bytes':
      return join(chunks, size)
  }
}

/** UTF-8 without its byte-order mark, each broken sequence as U+FFFD. */
function decode(chunks: readonly Buffer[], size: number): string {
  const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)
  const hasMark = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return hasMark ? bytes.toString('utf8', 3) : bytes.toString('utf8')
}

function join(chunks: readonly Buffer[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  let at = 0
  for (let index = 0; index < chunks.length; index++) {
    const chunk = chunks[index]
    if (chunk === undefined) continue
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
