import type { ResponseFlag } from './response-flag.ts'

/**
 * The record of one finished exchange. Metrics, the span, the access log and load reports are all made from it.
 * The exchange itself implements it, so that nothing is allocated to report it.
 */
export interface Outcome {
  /** Monotonic start in milliseconds. */
  readonly startedAt: number
  /** From start to the last byte or the error, in milliseconds. */
  readonly durationMs: number
  readonly method: string
  /** `http` or `https`. */
  readonly scheme: string
  /** The logical authority as the caller named it, with its port if it named one. */
  readonly authority: string
  /** Path and query as the caller sent them. */
  readonly path: string
  /** Name of the matched route, else of its virtual host, else empty. */
  readonly routeName: string
  /** A low-cardinality form of the path taken from the route's match (exact path, prefix + `*`, template), or empty. */
  readonly urlTemplate: string
  /** Cluster of the last attempt, or empty when none was chosen. */
  readonly clusterName: string
  /** Destination of the last attempt as the control plane labels it. */
  readonly destination: Destination
  /** `address:port` of the last attempt, or empty. */
  readonly endpointAddress: string
  /** Status handed to the caller; 0 when there was none. */
  readonly statusCode: number
  /** Status of a gRPC call, handed to the caller; -1 of an HTTP request. */
  readonly grpcStatus: number
  readonly flag: ResponseFlag
  /** Attempts begun, the first included. */
  readonly attempts: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** The error handed to the caller, if there was one. */
  readonly error: Error | null
}

/** Who a cluster leads to. Built once per cluster. */
export interface Destination {
  /** Service name without version: the `service.name` a server of this cluster reports. */
  readonly service: string
  /** Version label (subset), or empty. */
  readonly version: string
}
