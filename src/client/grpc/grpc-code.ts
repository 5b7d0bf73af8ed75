/** The status codes of gRPC that this package itself gives or asks for. */
export const grpcCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** The HTTP status by which an endpoint is judged that gave a gRPC status (Envoy, `Grpc::Utility::grpcToHttpStatus`). */
export function httpStatusOf(code: number): number {
  return httpStatuses[code] ?? 500
}

const httpStatuses: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]

/** The gRPC status of an answer that has none (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function grpcCodeOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return grpcCode.internal
    case 401:
      return grpcCode.unauthenticated
    case 403:
      return grpcCode.permissionDenied
    case 404:
      return grpcCode.unimplemented
    case 429:
    case 502:
    case 503:
    case 504:
      return grpcCode.unavailable
    default:
      return grpcCode.unknown
  }
}
