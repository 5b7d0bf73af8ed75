import type { MeshError } from '../errors.ts'

/** An answer that no upstream gave. */
export interface LocalReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An answer with a text body, its length stated. */
export function localReply(status: number, body: string, headers: Readonly<Record<string, string>> = {}): LocalReply {
  const length = String(Buffer.byteLength(body))
  const content = body === '' ? { 'content-length': '0' } : { 'content-length': length, 'content-type': 'text/plain' }
  return { status, headers: { ...content, ...headers }, body }
}

/**
 * The answer that Envoy gives in the place of `error`, or `null` when it gives none (the caller aborted).
 * Bodies as Envoy 1.40 writes them.
 */
export function replyFor(error: MeshError): LocalReply | null {
  if (error.statusCode === 0) return null
  switch (error.code) {
    case 'MESH_ERR_NO_ENDPOINT':
      return localReply(error.statusCode, 'no healthy upstream')
    case 'MESH_ERR_DEADLINE':
    case 'MESH_ERR_PER_TRY_TIMEOUT':
      return localReply(error.statusCode, 'upstream request timeout')
    case 'MESH_ERR_OVERFLOW':
    case 'MESH_ERR_CIRCUIT_OPEN':
      return localReply(error.statusCode, resetBody('overflow'), { 'x-envoy-overloaded': 'true' })
    case 'MESH_ERR_CONNECT':
      return localReply(error.statusCode, resetBody('remote connection failure'))
    case 'MESH_ERR_UPSTREAM_RESET':
      return localReply(error.statusCode, resetBody(error.flag === 'UR' ? 'remote reset' : 'connection termination'))
    default:
      return localReply(error.statusCode, '')
  }
}

function resetBody(reason: string): string {
  return `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`
}
