/** Times of an exchange; 0 is off. A time that a caller has used up already is not 0 but {@link expiredMs}. */
export interface TimeoutConfig {
  /** `RouteAction.timeout`: from the last byte of the request to the last byte of the answer, retries included. */
  readonly timeoutMs: number
  /** `RetryPolicy.per_try_timeout`: from sending an attempt, or from the last byte of the request if that is later, to its response headers. */
  readonly perTryTimeoutMs: number
}

/** `RouteAction.MaxStreamDuration`, decoded. */
export interface MaxStreamDuration {
  readonly maxStreamDurationMs: number | undefined
  /** How long a `grpc-timeout` may be; 0 is any. `undefined`: the header does not count. */
  readonly grpcTimeoutHeaderMaxMs: number | undefined
  /** Taken off a `grpc-timeout`, so that the caller is told before its own time is over. */
  readonly grpcTimeoutHeaderOffsetMs: number | undefined
}

/** The shortest time: a deadline that has passed already. */
export const expiredMs = Number.MIN_VALUE

/**
 * The per-try timeout that applies, or 0: one that is not shorter than the route's is ignored (Envoy, `FilterUtility::finalTimeout`).
 */
export function effectivePerTryTimeoutMs({ timeoutMs, perTryTimeoutMs }: TimeoutConfig): number {
  return timeoutMs !== 0 && perTryTimeoutMs >= timeoutMs ? 0 : perTryTimeoutMs
}

/**
 * The route timeout within the time that is left to the caller: whichever ends first.
 *
 * @param remainingMs of the request being served meanwhile; `undefined` when it has no deadline, at most 0 when it has passed
 */
export function withinDeadlineMs(timeoutMs: number, remainingMs: number | undefined): number {
  if (remainingMs === undefined) return timeoutMs
  if (remainingMs <= 0) return expiredMs
  return timeoutMs === 0 ? remainingMs : Math.min(timeoutMs, remainingMs)
}

/**
 * How long the whole stream may last, or 0 (gRFC A31): what `grpc-timeout` says where the route listens to it, cut to its maximum and less the
 * offset; else the route's own limit, else the listener's.
 *
 * @param grpcTimeoutMs of the request, or `undefined` without a valid header
 * @param listenerMs `common_http_protocol_options.max_stream_duration`; 0 is off
 */
export function maxStreamDurationMs(
  route: MaxStreamDuration | undefined,
  grpcTimeoutMs: number | undefined,
  listenerMs: number,
): number {
  if (route?.grpcTimeoutHeaderMaxMs !== undefined && grpcTimeoutMs !== undefined) {
    const { grpcTimeoutHeaderMaxMs, grpcTimeoutHeaderOffsetMs = 0 } = route
    const limited = grpcTimeoutHeaderMaxMs === 0 ? grpcTimeoutMs : Math.min(grpcTimeoutMs, grpcTimeoutHeaderMaxMs)
    const rest = limited - grpcTimeoutHeaderOffsetMs
    return rest > 0 ? rest : expiredMs
  }
  return route?.maxStreamDurationMs ?? listenerMs
}

const unitMs = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 } as const

/** Reads a `grpc-timeout` header: 1 to 8 digits and a unit. Milliseconds with a fraction, or `undefined` when it is malformed. */
export function parseGrpcTimeout(text: string): number | undefined {
  const unit = text.at(-1)
  if (unit === undefined || !isUnit(unit) || !/^\d{1,8}.$/.test(text)) return undefined
  return Number(text.slice(0, -1)) * unitMs[unit]
}

function isUnit(text: string): text is keyof typeof unitMs {
  return Object.hasOwn(unitMs, text)
}

/** Writes a `grpc-timeout` header in the finest unit that 8 digits suffice for, milliseconds or coarser; rounded up. */
export function formatGrpcTimeout(timeoutMs: number): string {
  const ms = Math.max(0, timeoutMs)
  for (const unit of ['m', 'S', 'M'] as const) {
    const value = Math.ceil(ms / unitMs[unit])
    if (value < 1e8) return `${value}${unit}`
  }
  return `${Math.min(99_999_999, Math.ceil(ms / unitMs.H))}H`
}

/** Reads `x-envoy-expected-rq-timeout-ms` of an inbound request: whole milliseconds, or `undefined` when it is absent, malformed or 0. */
export function parseExpectedTimeoutMs(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,15}$/.test(text)) return undefined
  const value = Number(text)
  return value === 0 ? undefined : value
}

/**
 * The `x-envoy-expected-rq-timeout-ms` to send with an attempt, in whole milliseconds, or 0 to send none: the per-try timeout, or what is left
 * of the route's when that is less; at least 1, because 0 would mean no limit.
 *
 * @param elapsedMs of the route's timeout
 */
export function expectedTimeoutMs(config: TimeoutConfig, elapsedMs: number): number {
  const perTryMs = effectivePerTryTimeoutMs(config)
  if (config.timeoutMs === 0) return Math.ceil(perTryMs)
  const leftMs = Math.max(1, config.timeoutMs - elapsedMs)
  return Math.ceil(perTryMs === 0 ? leftMs : Math.min(perTryMs, leftMs))
}
