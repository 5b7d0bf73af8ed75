import { performance } from 'node:perf_hooks'

/** A pending timer. */
export interface Timer {
  /** Stops the timer; harmless when it has fired. */
  cancel(): void
}

/** Every source of time. Nothing in this project reads `Date`, `performance` or `setTimeout` except through it. */
export interface Clock {
  /** Monotonic time in milliseconds, with a fraction. */
  now(): number
  /** Wall-clock time in milliseconds since the epoch. */
  wallNow(): number
  /**
   * Calls `callback` once after `delayMs`.
   *
   * @param keepsAlive whether the process lives until then; default false. A caller's request that waits for nothing else needs it
   */
  setTimeout(callback: () => void, delayMs: number, keepsAlive?: boolean): Timer
}

/** A source of uniform random numbers in `[0, 1)`. */
export type Random = () => number

/** Where a component reports what an operator must know. Structured fields stay out of the message. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** What every component gets from outside instead of reaching for it. */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** The real clock. Delays are capped at 2^31 - 1 ms, beyond which Node fires at once. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimeout(callback, delayMs, keepsAlive = false) {
    const handle = setTimeout(callback, Math.min(delayMs, 0x7fffffff))
    if (!keepsAlive) handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}

/** How late a timer may be; beyond, something held the event loop. */
const maxLagMs = 50

/**
 * A timer for something that others have to answer in time. Where it is late because something held the event loop, what came meanwhile is
 * read first: Node runs timers before that.
 */
export function setPatientTimeout(clock: Clock, callback: () => void, delayMs: number): Timer {
  const dueAt = clock.now() + delayMs
  const onDue = () => {
    if (clock.now() - dueAt > maxLagMs) timer = clock.setTimeout(callback, 0)
    else callback()
  }
  let timer = clock.setTimeout(onDue, delayMs)
  return { cancel: () => timer.cancel() }
}

/** Drops everything. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }

const severities = ['debug', 'info', 'warn', 'error'] as const
type Severity = (typeof severities)[number]

/**
 * One JSON object a line on standard error.
 *
 * @param minimum lowest severity written; default `warn`
 */
export function stderrLogger(minimum: Severity = 'warn', clock: Clock = systemClock): Logger {
  const write = (severity: Severity) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (severities.indexOf(severity) < severities.indexOf(minimum)) return
    const time = new Date(clock.wallNow()).toISOString()
    process.stderr.write(`${JSON.stringify({ time, severity, logger: 'inmesh', message, ...fields })}\n`)
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

/** The real clock, `Math.random` and warnings on standard error. */
export const systemRuntime: Runtime = { clock: systemClock, random: Math.random, logger: stderrLogger() }
