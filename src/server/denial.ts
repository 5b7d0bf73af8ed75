import { grpcCodeOf } from '../client/grpc/grpc-code.ts'

/** An answer that the mesh gives in place of the application. */
export interface Denial {
  readonly statusCode: number
  /** Of a gRPC call. */
  readonly grpcStatus: number
  /** The body, or `grpc-message`. */
  readonly message: string
  /** Why, for the operator; never told to the caller. */
  readonly reason: string
  /** Sent with the answer; names in lower case. */
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** In place of {@link message} as a body. */
  readonly body?: Uint8Array
  /** What came is not to be trusted any more, and the connection is closed after the answer. */
  readonly closes?: true
}

/** The request is not one that can be judged. */
export function badRequest(reason: string): Denial {
  return { statusCode: 400, grpcStatus: 3, message: 'bad request', reason, closes: true }
}

/** The server has nothing that it could serve the request by (gRFC A36). */
export function unavailable(reason: string): Denial {
  return { statusCode: 503, grpcStatus: 14, message: 'the server has no route for this request', reason }
}

/** Nothing is served on this path. */
export function notFound(reason: string): Denial {
  return { statusCode: 404, grpcStatus: 14, message: '', reason }
}

/** The answer of a status, and that of a gRPC call which goes with it (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function denialByStatus(statusCode: number, message: string, reason: string): Denial {
  return { statusCode, grpcStatus: grpcCodeOf(statusCode), message, reason }
}
