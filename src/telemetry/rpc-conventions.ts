/** Names of the status codes of gRPC by number: `rpc.status_code` and `grpc.status`. */
const statusNames: readonly string[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
]

/** The name of a gRPC status; of a number that is none, `UNKNOWN` as gRPC itself reads it. */
export function grpcStatusName(status: number): string {
  return statusNames[status] ?? 'UNKNOWN'
}

/** `rpc.method` and `grpc.method` of a path: `package.Service/Method`. */
export function rpcMethod(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path
}

/** Bucket boundaries in seconds of gRPC's own latency metrics (gRFC A66). */
export const grpcLatencyBoundariesS: readonly number[] = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02,
  0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
]

/** Bucket boundaries of gRPC's own counts of retries (gRFC A96). */
export const grpcRetryBoundaries: readonly number[] = [0, 1, 2, 3, 4, 5]
