/** A pending timer. */
export interface Timer {
  /** Stops the timer; harmless when it has fired. */
  cancel(): void
}

/** Every source of time. */
export interface Clock {
  /** Monotonic time in milliseconds. */
  now(): number
  /** Wall-clock time in milliseconds since the epoch. */
  wallNow(): number
  /** Calls `callback` once after `delayMs`. The timer does not keep the process alive. */
  setTimeout(callback: () => void, delayMs: number): Timer
}

/** Where the control plane reports what an operator must know. Structured fields stay out of the message. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** What every component gets from outside. The SDK's `Runtime` fits wherever this is asked for. */
export interface Runtime {
  readonly clock: Clock
  readonly logger: Logger
}

/** The real clock. Delays are capped at 2^31 - 1 ms, beyond which Node fires at once. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimeout(callback, delayMs) {
    const handle = setTimeout(callback, Math.min(delayMs, 0x7fffffff))
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Drops everything. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
