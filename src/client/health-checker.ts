import { connect } from 'node:net'
import type { UpstreamTls } from '../discovery/model/cluster.ts'
import {
  CheckedHealth,
  type CheckResult,
  type GrpcCheck,
  type HealthCheckConfig,
  type HttpCheck,
  isInRanges,
  type TcpCheck,
} from '../policies/health-check.ts'
import type { Runtime, Timer } from '../runtime.ts'
import type { Endpoint } from './endpoint.ts'
import { checkGrpcHealth } from './grpc/health-check.ts'
import { checkHttpHealth } from './http/health-check.ts'

/** What the checks of a cluster need. */
export interface HealthCheckerOptions {
  readonly config: HealthCheckConfig
  /** Name of the cluster. */
  readonly cluster: string
  readonly tls: UpstreamTls | undefined
  readonly runtime: Runtime
  /** Whether the cluster was ever called. */
  readonly hasTraffic: () => boolean
  /** The health of an endpoint has changed, and with it `endpoint.failedHealthCheck`. */
  readonly onChange: (endpoint: Endpoint, reason: string) => void
}

/** Asks the endpoints of a cluster, each at its own pace, whether they are well (`Cluster.health_checks`). */
export class HealthChecker {
  readonly #options: HealthCheckerOptions
  readonly #sessions = new Map<Endpoint, Session>()

  constructor(options: HealthCheckerOptions) {
    this.#options = options
  }

  /** Begins to check. An endpoint counts as healthy until its first check has failed; a known one is what it was. */
  add(endpoint: Endpoint): void {
    this.#sessions.set(endpoint, new Session(endpoint, this.#options))
  }

  remove(endpoint: Endpoint): void {
    this.#sessions.get(endpoint)?.close()
    this.#sessions.delete(endpoint)
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
  }
}

/** The checks of one endpoint. */
class Session {
  readonly #endpoint: Endpoint
  readonly #options: HealthCheckerOptions
  readonly #health: CheckedHealth
  #timer: Timer
  #isClosed = false

  constructor(endpoint: Endpoint, options: HealthCheckerOptions) {
    const { config, runtime } = options
    this.#endpoint = endpoint
    this.#options = options
    this.#health = new CheckedHealth(config)
    if (endpoint.failedHealthCheck) this.#health.adopt(true)
    this.#timer = runtime.clock.setTimeout(() => void this.#check(), runtime.random() * config.initialJitterMs)
  }

  close(): void {
    this.#isClosed = true
    this.#timer.cancel()
  }

  async #check(): Promise<void> {
    const { config, runtime, hasTraffic, onChange } = this.#options
    const { result, reason } = await this.#ask()
    if (this.#isClosed) return
    if (this.#health.report(result)) {
      this.#endpoint.failedHealthCheck = this.#health.isUnhealthy
      onChange(this.#endpoint, reason)
    }
    const delayMs = this.#health.nextDelayMs(hasTraffic(), runtime.random)
    this.#timer = runtime.clock.setTimeout(() => void this.#check(), Math.max(delayMs, Math.min(config.intervalMs, 1)))
  }

  #ask(): Promise<Answer> {
    const { check } = this.#options.config
    switch (check.kind) {
      case 'http':
        return this.#askHttp(check)
      case 'grpc':
        return this.#askGrpc(check)
      case 'tcp':
        return this.#askTcp(check)
    }
  }

  async #askHttp({ host, path, method, headers, expectedStatuses, retriableStatuses }: HttpCheck): Promise<Answer> {
    const { config, tls, runtime } = this.#options
    const origin = `${tls === undefined ? 'http' : 'https'}://${this.#nameOf(host)}`
    const request = { method, path, headers: ['user-agent', 'inmesh/health-check', ...headers] }
    const status = await checkHttpHealth(this.#endpoint.http.get(origin), request, runtime.clock, config.timeoutMs)
    const reason = status === 0 ? 'no answer' : `status ${status}`
    if (isInRanges(status, expectedStatuses)) return { result: 'healthy', reason }
    return { result: status === 0 || isInRanges(status, retriableStatuses) ? 'failed' : 'unhealthy', reason }
  }

  async #askGrpc({ service, authority }: GrpcCheck): Promise<Answer> {
    const { config, runtime } = this.#options
    const status = await checkGrpcHealth(
      this.#endpoint.grpc,
      this.#nameOf(authority),
      service,
      runtime.clock.wallNow() + config.timeoutMs,
    )
    if (status.isServing) return { result: 'healthy', reason: '' }
    return { result: status.wasAnswered ? 'unhealthy' : 'failed', reason: status.reason }
  }

  #askTcp({ send, receive }: TcpCheck): Promise<Answer> {
    const { config, runtime } = this.#options
    const { address, port } = this.#endpoint
    return new Promise(resolve => {
      let received = Buffer.alloc(0)
      const socket = port === 0 ? connect(address) : connect(port, address)
      const end = (result: CheckResult, reason: string) => {
        timer.cancel()
        socket.destroy()
        resolve({ result, reason })
      }
      const timer = runtime.clock.setTimeout(() => end('failed', 'no answer'), config.timeoutMs)
      socket.unref()
      socket.on('error', error => end('failed', error.message))
      socket.on('close', () => end('failed', 'closed'))
      socket.on('connect', () => {
        if (send !== '') socket.write(Buffer.from(send, 'hex'))
        if (receive.length === 0) end('healthy', '')
      })
      socket.on('data', chunk => {
        received = Buffer.concat([received, chunk])
        if (holdsInOrder(received, receive)) end('healthy', '')
      })
    })
  }

  #nameOf(configured: string): string {
    if (configured !== '') return configured
    if (this.#endpoint.hostname !== '') return this.#endpoint.hostname
    // The name of a cluster may be anything; a Host header may not.
    return /^[\w.-]+$/.test(this.#options.cluster) ? this.#options.cluster : 'health-check'
  }
}

interface Answer {
  readonly result: CheckResult
  readonly reason: string
}

function holdsInOrder(received: Buffer, parts: readonly string[]): boolean {
  let at = 0
  for (const part of parts) {
    const bytes = Buffer.from(part, 'hex')
    const found = received.indexOf(bytes, at)
    if (found < 0) return false
    at = found + bytes.length
  }
  return true
}
