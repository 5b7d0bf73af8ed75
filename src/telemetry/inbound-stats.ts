import { Histogram } from './histogram.ts'
import { type InboundOutcome, type InboundRequest, serverErrorType } from './inbound-request.ts'
import type { MetricAttributes } from './metric-family.ts'
import { grpcLatencyBoundariesS, grpcStatusName, rpcMethod } from './rpc-conventions.ts'
import { durationBoundariesS, knownMethod } from './semantic-conventions.ts'

/** Combinations of method, status, route and error kept apart; the rest is counted together. */
const maxCells = 1000

/** Numbers of all inbound requests that have every attribute in common. */
export interface InboundCell {
  readonly attributes: MetricAttributes
  readonly durationS: Histogram
}

/** Methods of gRPC kept apart. */
const maxRpcMethods = 200

/** Counters of one method of gRPC that this process serves. */
export class InboundRpcStats {
  /** `grpc.method` */
  readonly method: string
  readonly #service: string
  /** By status. */
  readonly cells: { readonly status: number; readonly cell: InboundCell; readonly grpcDurationS: Histogram }[] = []
  /** `grpc.server.call.started` */
  started = 0

  constructor(method: string, service: string) {
    this.method = method
    this.#service = service
  }

  /** The cell of an ended call, which is counted in gRPC's own metric. */
  add(outcome: InboundOutcome): InboundCell {
    const { grpcStatus, durationMs } = outcome
    let found = this.cells.find(({ status }) => status === grpcStatus)
    if (found === undefined) {
      const errorType = serverErrorType(outcome)
      const attributes = {
        'rpc.system.name': 'grpc',
        'rpc.method': this.method === 'other' ? '_OTHER' : this.method,
        'rpc.status_code': grpcStatusName(grpcStatus),
        ...(errorType === '' ? {} : { 'error.type': errorType }),
        ...(this.#service === '' ? {} : { 'inmesh.destination.service': this.#service }),
      }
      const cell = { attributes, durationS: new Histogram(durationBoundariesS) }
      found = { status: grpcStatus, cell, grpcDurationS: new Histogram(grpcLatencyBoundariesS) }
      this.cells.push(found)
    }
    found.grpcDurationS.record(durationMs / 1000)
    return found.cell
  }
}

/** Counters of the requests that this process serves. */
export class InboundStats {
  readonly #service: string
  readonly #cells = new Map<string, InboundCell>()
  readonly #rpcMethods = new Map<string, InboundRpcStats>()
  /** Requests that have begun and not ended. */
  active = 0

  /** @param service `inmesh.destination.service`; empty when it is not known */
  constructor(service: string) {
    this.#service = service
  }

  get cells(): Iterable<InboundCell> {
    return this.#cells.values()
  }

  get rpcMethods(): Iterable<InboundRpcStats> {
    return this.#rpcMethods.values()
  }

  /** A request has begun. */
  begin(request: InboundRequest): void {
    this.active++
    if (request.isGrpc) this.#rpcMethod(request.path).started++
  }

  /** Counts a finished request; returns where. */
  add(request: InboundRequest, outcome: InboundOutcome): InboundCell {
    this.active--
    const cell = request.isGrpc ? this.#rpcMethod(request.path).add(outcome) : this.#cell(request, outcome)
    cell.durationS.record(outcome.durationMs / 1000)
    return cell
  }

  #rpcMethod(path: string): InboundRpcStats {
    const known = this.#rpcMethods.get(path)
    if (known !== undefined) return known
    // Whoever calls can name any method.
    const key = this.#rpcMethods.size >= maxRpcMethods ? 'other' : path
    let stats = this.#rpcMethods.get(key)
    if (stats === undefined) {
      stats = new InboundRpcStats(rpcMethod(key), this.#service)
      this.#rpcMethods.set(key, stats)
    }
    return stats
  }

  #cell({ method, scheme, protocolVersion }: InboundRequest, outcome: InboundOutcome): InboundCell {
    const { statusCode, route } = outcome
    const known = knownMethod(method)
    const errorType = serverErrorType(outcome)
    const key = `${known} ${scheme} ${protocolVersion} ${statusCode} ${errorType} ${route}`
    const found = this.#cells.get(key)
    if (found !== undefined) return found
    if (this.#cells.size >= maxCells) return this.#create('', { 'otel.metric.overflow': true })
    return this.#create(key, {
      'http.request.method': known,
      'url.scheme': scheme,
      'network.protocol.version': protocolVersion,
      ...(statusCode === 0 ? {} : { 'http.response.status_code': statusCode }),
      ...(route === '' ? {} : { 'http.route': route }),
      ...(errorType === '' ? {} : { 'error.type': errorType }),
      ...(this.#service === '' ? {} : { 'inmesh.destination.service': this.#service }),
    })
  }

  #create(key: string, attributes: MetricAttributes): InboundCell {
    const found = this.#cells.get(key)
    if (found !== undefined) return found
    const cell = { attributes, durationS: new Histogram(durationBoundariesS) }
    this.#cells.set(key, cell)
    return cell
  }
}
