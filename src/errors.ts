import type { ResponseFlag } from './telemetry/response-flag.ts'

const brand = Symbol.for('inmesh.MeshError')

/** The stable codes of every error this package makes. */
export type MeshErrorCode =
  | 'MESH_ERR_ABORTED'
  | 'MESH_ERR_BOOTSTRAP'
  | 'MESH_ERR_CIRCUIT_OPEN'
  | 'MESH_ERR_CLOSED'
  | 'MESH_ERR_CLUSTER_NOT_FOUND'
  | 'MESH_ERR_CONFIG'
  | 'MESH_ERR_CONFIG_TIMEOUT'
  | 'MESH_ERR_CONNECT'
  | 'MESH_ERR_DEADLINE'
  | 'MESH_ERR_IDENTITY'
  | 'MESH_ERR_INVALID_ARG'
  | 'MESH_ERR_NO_ENDPOINT'
  | 'MESH_ERR_NO_ROUTE'
  | 'MESH_ERR_OVERFLOW'
  | 'MESH_ERR_PER_TRY_TIMEOUT'
  | 'MESH_ERR_UNKNOWN_HOST'
  | 'MESH_ERR_UPSTREAM_RESET'

/** What a {@link MeshError} can tell beside its message. */
export interface MeshErrorDetails {
  readonly cause?: unknown
  /** Envoy's response flag for the same fault. */
  readonly flag?: ResponseFlag
  /** Attempts begun, the first included. */
  readonly attempts?: number
  readonly cluster?: string
  /** `address:port` of the last endpoint tried. */
  readonly endpoint?: string
  /** The HTTP status a sidecar would have answered with; 0 where it would have answered nothing. */
  readonly statusCode?: number
}

/** The base of every error this package makes. Recognise one across copies of the package with {@link isMeshError}. */
export class MeshError extends Error {
  readonly code: MeshErrorCode
  readonly flag: ResponseFlag
  readonly attempts: number
  readonly cluster: string | undefined
  readonly endpoint: string | undefined
  /** The HTTP status a sidecar would have answered with; 0 where it would have answered nothing. */
  readonly statusCode: number

  constructor(code: MeshErrorCode, message: string, details: MeshErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = 'MeshError'
    this.code = code
    this.flag = details.flag ?? ''
    this.attempts = details.attempts ?? 0
    this.cluster = details.cluster
    this.endpoint = details.endpoint
    this.statusCode = details.statusCode ?? 0
    Object.defineProperty(this, brand, { value: true })
  }
}

/** Whether `value` is a {@link MeshError} of any copy of this package. */
export function isMeshError(value: unknown): value is MeshError {
  return typeof value === 'object' && value !== null && brand in value
}
