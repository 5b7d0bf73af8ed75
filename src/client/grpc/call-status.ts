import type { StatusObject } from '@grpc/grpc-js'
import { MeshError } from '../../errors.ts'
import type { AttemptFailure } from '../../policies/retry.ts'
import type { LocalReply } from '../local-reply.ts'
import { grpcCode, grpcCodeOf } from './grpc-code.ts'
import { grpcJs } from './grpc-js.ts'

/** What grpc-js says of a call whose connection is gone. */
const connectionDropped = 'Connection dropped'

/** A status that is an error on its way through the exchange. */
export class CallStatusError extends Error {
  readonly status: StatusObject

  constructor(status: StatusObject) {
    super(status.details)
    this.name = 'CallStatusError'
    this.status = status
  }
}

/** A status of this side, without metadata. */
export function localStatus(code: number, details: string): StatusObject {
  return { code, details, metadata: new (grpcJs().Metadata)() }
}

/** What an error of the mesh is for a gRPC caller: codes of a control plane never get to it (gRFC A54). */
export function statusOfError(error: Error): StatusObject {
  if (error instanceof CallStatusError) return error.status
  if (!(error instanceof MeshError)) return localStatus(grpcCode.internal, error.message)
  // What a peer or grpc-js itself said of an attempt is more than what the mesh makes of it.
  if (error.cause instanceof CallStatusError) return { ...error.cause.status, details: error.message }
  switch (error.code) {
    case 'MESH_ERR_DEADLINE':
    case 'MESH_ERR_PER_TRY_TIMEOUT':
      return localStatus(grpcCode.deadlineExceeded, error.message)
    default:
      return localStatus(grpcCode.unavailable, error.message)
  }
}

/** What an answer of the mesh itself is for a gRPC caller. */
export function statusOfReply({ status, headers, body }: LocalReply): StatusObject {
  const own = headers['grpc-status']
  return localStatus(own === undefined ? grpcCodeOf(status) : Number(own), body === '' ? `HTTP status ${status}` : body)
}

const ownError = /^Received RST_STREAM with code \d+ triggered by internal client error: (?<message>.*)$/s

/**
 * A status as gRPC's other clients have it: a connection that ends by an error, such as a GOAWAY with a code, is `UNAVAILABLE` for its
 * calls, where grpc-js speaks of an internal error.
 */
export function connectionStatus(status: StatusObject): StatusObject {
  const message = status.code === grpcCode.internal ? ownError.exec(status.details)?.groups?.message : undefined
  return message === undefined ? status : { ...status, code: grpcCode.unavailable, details: `${connectionDropped}: ${message}` }
}

/** What grpc-js says of a stream that was reset: the last two are ENHANCE_YOUR_CALM and INADEQUATE_SECURITY. */
const resets = /^(?:Received RST_STREAM|Call cancelled|Write error|read |write |Bandwidth exhausted|Protocol not secure enough)/

/** Whether no peer sent a status: an answer has headers at least, and grpc-js adds none to what it makes up. */
export function isOwn({ code, metadata }: StatusObject): boolean {
  return code !== grpcCode.ok && Object.keys(metadata.getMap()).length === 0
}

/** How an attempt failed whose status no peer sent, or `null` when one did, or nothing failed on the way. */
export function failureOf(status: StatusObject): AttemptFailure | null {
  if (!isOwn(status)) return null
  const { details } = status
  if (details === 'Stream refused by server') return 'refused-stream'
  if (
    /^(?:No connection established|Channel closed before call started|Name resolution failed|Failed to start HTTP\/2 stream)/.test(
      details,
    )
  )
    return 'connect-failure'
  if (details.startsWith(connectionDropped) || resets.test(details)) return 'reset'
  return null
}
