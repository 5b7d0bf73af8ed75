import type { Runtime, Timer } from '../runtime.ts'
import type { XdsStreamStatus } from './grpc-status.ts'
import type { LoadStatsRequest, LoadStatsResponse, LoadStatsTransport } from './load-stats-stream.ts'
import type { LoadSource } from './model/cluster-load.ts'
import { type ConversationEnd, ReconnectLoop } from './reconnect-loop.ts'
import type { XdsNode } from './xds-node.ts'
import type { XdsStream } from './xds-stream.ts'

/** Options of {@link LoadReporting}. */
export interface LoadReportingOptions {
  readonly runtime: Runtime
  readonly node: XdsNode
  /** The ways to the control planes, in the order of the bootstrap. */
  readonly transports: readonly LoadStatsTransport[]
  readonly loads: LoadSource
}

/** Without it a server must name the clusters. */
const supportsSendAllClusters = 'envoy.lrs.supports_send_all_clusters'
/** A server that wants to hear more often hears so often. */
const minIntervalMs = 100
/** How long the server may take to end a stream after the last report. */
const closeTimeoutMs = 1000

interface Session {
  readonly stream: XdsStream<LoadStatsRequest>
  readonly end: (how: ConversationEnd) => void
  readonly fail: (error: Error) => void
  /** What the server wants; `undefined` before it has said so. */
  wanted: LoadStatsResponse | undefined
  timer: Timer | undefined
}

/**
 * Reports load to the control plane that the clusters came from (LRS; gRFC A27), for as long as a cluster asks for it. The server says of which
 * clusters, and how often; a stream that fails is opened again with the backoff of ADS, and what is counted meanwhile goes into the next report.
 */
export class LoadReporting {
  readonly #options: LoadReportingOptions
  readonly #node: XdsNode
  readonly #loop: ReconnectLoop
  #at = 0
  #session: Session | undefined
  #lastError = ''

  constructor(options: LoadReportingOptions) {
    const { runtime, node, loads } = options
    this.#options = options
    this.#node = { ...node, clientFeatures: [...node.clientFeatures, supportsSendAllClusters] }
    this.#loop = new ReconnectLoop({ runtime, name: 'xds: load reporting', converse: () => this.#converse() })
    loads.onWanted(() => this.#loop.start())
  }

  /** The server that configuration comes from now, by its place in the bootstrap. */
  follow(place: number): void {
    if (place === this.#at) return
    this.#at = place
    this.#session?.end('reopen')
    this.#loop.wake()
  }

  /** Ends the stream, with a last report of what was counted since the one before; resolves when it is with the server, or after a second. */
  async close(): Promise<void> {
    this.#loop.close()
    const session = this.#session
    if (session === undefined) return
    const { loads, runtime } = this.#options
    const last = session.wanted === undefined ? [] : loads.take(session.wanted.clusters)
    if (last.length === 0) {
      session.end('stop')
      return
    }
    session.stream.send({ node: undefined, loads: last })
    const sent = session.stream.finish()
    session.end('stop')
    let timer: Timer | undefined
    const late = new Promise<void>(resolve => {
      timer = runtime.clock.setTimeout(resolve, closeTimeoutMs, true)
    })
    await Promise.race([sent, late])
    timer?.cancel()
  }

  #converse(): Promise<ConversationEnd> {
    return new Promise((resolve, reject) => {
      const transport = this.#options.transports[this.#at]
      if (this.#loop.isClosed || !this.#options.loads.isWanted || transport === undefined) return resolve('stop')
      const over = (): boolean => {
        if (this.#session !== session) return false
        this.#session = undefined
        session.timer?.cancel()
        session.stream.cancel()
        return true
      }
      const stream = transport.open({
        onConnected() {},
        onResponse: async response => this.#onResponse(session, response),
        onEnd: status => this.#onEnd(session, status),
      })
      const session: Session = {
        stream,
        end: how => void (over() && resolve(how)),
        fail: error => void (over() && reject(error)),
        wanted: undefined,
        timer: undefined,
      }
      this.#session = session
      stream.send({ node: this.#node, loads: [] })
    })
  }

  #onResponse(session: Session, response: LoadStatsResponse): void {
    if (session !== this.#session) return
    this.#lastError = ''
    const before = session.wanted
    session.wanted = response
    // The same interval goes on; the next report is of the clusters that are wanted by then.
    if (before?.intervalMs === response.intervalMs) return
    session.timer?.cancel()
    this.#schedule(session, response.intervalMs)
  }

  #schedule(session: Session, intervalMs: number): void {
    session.timer = this.#options.runtime.clock.setTimeout(() => this.#report(session), Math.max(intervalMs, minIntervalMs))
  }

  /** Also when there is nothing to tell, from which the server learns just that. */
  #report(session: Session): void {
    const { wanted } = session
    if (session !== this.#session || wanted === undefined) return
    const { loads } = this.#options
    session.stream.send({ node: undefined, loads: loads.take(wanted.clusters) })
    if (loads.isWanted) this.#schedule(session, wanted.intervalMs)
    else {
      void session.stream.finish()
      session.end('stop')
    }
  }

  #onEnd(session: Session, { code, message }: XdsStreamStatus): void {
    if (session !== this.#session) return
    // Nobody takes the last words of clusters that have left.
    this.#options.loads.forgetLeft()
    if (session.wanted !== undefined) {
      session.end('ended')
      return
    }
    const server = this.#options.transports[this.#at]?.uri ?? ''
    const text = `load reports to ${server}: ${message || `the stream ended with status ${code}`}`
    if (this.#lastError !== text) this.#options.runtime.logger.warn(text)
    this.#lastError = text
    session.fail(new Error(text))
  }
}
