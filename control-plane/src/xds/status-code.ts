/** The gRPC status codes this server ends a stream with. */
export const statusCode = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** One of {@link statusCode}. */
export type StatusCode = (typeof statusCode)[keyof typeof statusCode]
