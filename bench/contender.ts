import type { Sample } from './paired.ts'

/** What the parent passed as `settings`. */
export function settings<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}')
}

/** A module of the built package: a contender measures what users install, not sources stripped of their types on import. */
export function built<T>(module: string): Promise<T> {
  return import(new URL(`../dist/${module}.js`, import.meta.url).href)
}

/** How {@link cpuPerRequest} drives `once`. */
export interface Load {
  /** Requests before measuring begins. */
  readonly warmup: number
  readonly requests: number
  /** Requests in flight. */
  readonly concurrency: number
}

/** Microseconds of this process's CPU, all threads, per call of `once` after warm-up, as the sample's `value`. */
export async function cpuPerRequest(once: () => Promise<unknown>, load: Load): Promise<Sample> {
  await drive(once, load.warmup, load.concurrency)
  const begun = performance.now()
  const before = process.cpuUsage()
  await drive(once, load.requests, load.concurrency)
  const used = process.cpuUsage(before)
  const perSecond = load.requests / ((performance.now() - begun) / 1000)
  return { value: (used.user + used.system) / load.requests, perSecond }
}

/** Calls `once` until `requests` have ended, `concurrency` at a time. */
export async function drive(once: () => Promise<unknown>, requests: number, concurrency: number): Promise<void> {
  let left = requests
  const lane = async () => {
    while (left-- > 0) await once()
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
}

/** Hands the sample to the parent; the contender must end by itself or be ended with `process.exit` after this. */
export function report(sample: Sample): void {
  process.stdout.write(`${JSON.stringify(sample)}\n`)
}
