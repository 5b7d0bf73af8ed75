import type { ChannelInterface, ClientReadableStream } from '@grpc/grpc-js'
import { decodeLoadReport, type LoadReport } from '../../policies/load-report.ts'
import type { Runtime, Timer } from '../../runtime.ts'
import { grpcCode } from './grpc-code.ts'
import { grpcJs } from './grpc-js.ts'

const method = '/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics'
const firstBackOffMs = 1000
const maxBackOffMs = 120_000

/** What a stream of reports needs. */
export interface LoadReportStreamOptions {
  readonly channel: ChannelInterface
  /** How often the server is to report. */
  readonly periodMs: number
  readonly runtime: Runtime
  readonly onReport: (report: LoadReport) => void
}

/**
 * The reports of one endpoint out of band (gRFC A51): a stream beside the calls, opened again with backoff when it ends, and never again
 * when the server does not know the service.
 */
export class LoadReportStream {
  readonly #options: LoadReportStreamOptions
  #stream: ClientReadableStream<LoadReport | null> | null = null
  #timer: Timer | null = null
  #backOffMs = firstBackOffMs
  #isClosed = false

  constructor(options: LoadReportStreamOptions) {
    this.#options = options
    this.#open()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#stream?.cancel()
  }

  #open(): void {
    const { channel, periodMs, onReport } = this.#options
    const { Client, credentials } = grpcJs()
    const client = new Client('', credentials.createInsecure(), { channelOverride: channel })
    const stream = client.makeServerStreamRequest(
      method,
      (period: number) => encodeRequest(period),
      (bytes: Buffer) => decodeLoadReport(bytes),
      periodMs,
    )
    this.#stream = stream
    stream.on('data', (report: LoadReport | null) => {
      this.#backOffMs = firstBackOffMs
      if (report !== null) onReport(report)
    })
    // Its status tells.
    stream.on('error', () => {})
    stream.on('status', ({ code }) => this.#ended(code))
  }

  #ended(code: number): void {
    this.#stream = null
    if (this.#isClosed || code === grpcCode.unimplemented) return
    const { clock, random } = this.#options.runtime
    this.#timer = clock.setTimeout(() => this.#open(), this.#backOffMs * (0.8 + 0.4 * random()))
    this.#backOffMs = Math.min(maxBackOffMs, this.#backOffMs * 1.6)
  }
}

/** `OrcaLoadReportRequest` with its `report_interval`. */
function encodeRequest(periodMs: number): Buffer {
  const seconds = Math.floor(periodMs / 1000)
  const nanos = Math.round((periodMs - seconds * 1000) * 1e6)
  const duration = [...(seconds === 0 ? [] : [0x08, ...varint(seconds)]), ...(nanos === 0 ? [] : [0x10, ...varint(nanos)])]
  return Buffer.from([0x0a, duration.length, ...duration])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return [...bytes, left]
}
