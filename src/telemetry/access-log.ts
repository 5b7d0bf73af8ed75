import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import type { Outcome } from './outcome.ts'

/** Lines kept while the destination does not take them; further ones are dropped and counted. */
const maxBufferedBytes = 1 << 20

/** One JSON object a line for each call, in the words of Envoy's access log. Never blocks a call: what is not taken in time is dropped. */
export class AccessLog {
  readonly #out: Writable
  /** Lines that were dropped. */
  dropped = 0

  constructor(out: Writable) {
    this.#out = out
    out.on('error', () => {})
  }

  /** @param wallNowMs since the epoch, now */
  write(outcome: Outcome, wallNowMs: number): void {
    if (this.#out.writableLength > maxBufferedBytes) {
      this.dropped++
      return
    }
    const line = {
      start_time: new Date(wallNowMs - outcome.durationMs).toISOString(),
      method: outcome.method,
      path: outcome.path,
      protocol: outcome.scheme,
      response_code: outcome.statusCode,
      response_flags: outcome.flag === '' ? '-' : outcome.flag,
      bytes_received: outcome.requestBytes,
      bytes_sent: outcome.responseBytes,
      duration: Math.round(outcome.durationMs),
      authority: outcome.authority,
      upstream_host: outcome.endpointAddress === '' ? '-' : outcome.endpointAddress,
      upstream_cluster: outcome.clusterName === '' ? '-' : outcome.clusterName,
      upstream_request_attempt_count: outcome.attempts,
      route_name: outcome.routeName === '' ? '-' : outcome.routeName,
      ...(outcome.error === null ? {} : { error: outcome.error.message }),
    }
    this.#out.write(`${JSON.stringify(line)}\n`)
  }
}

/** The access log that `INMESH_ACCESS_LOG` names: `stdout`, `stderr` or the path of a file; `null` when it is not set. */
export function accessLogFrom(value: string | undefined): AccessLog | null {
  if (value === undefined || value === '') return null
  if (value === 'stdout') return new AccessLog(process.stdout)
  if (value === 'stderr') return new AccessLog(process.stderr)
  return new AccessLog(createWriteStream(value, { flags: 'a' }))
}
