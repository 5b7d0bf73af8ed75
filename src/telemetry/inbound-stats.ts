import { Histogram } from './histogram.ts'
import { type ConnectionSecurity, type InboundOutcome, type InboundRequest, serverErrorType } from './inbound-request.ts'
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

/** Combinations of status and caller kept apart of one method of gRPC; what comes later is counted without its caller. */
const maxRpcCells = 200
/** Methods of gRPC kept apart. */
const maxRpcMethods = 200

interface RpcCell {
  readonly status: number
  readonly source: string
  readonly security: ConnectionSecurity
  readonly cell: InboundCell
}

/** Counters of one method of gRPC that this process serves. */
export class InboundRpcStats {
  /** `grpc.method` */
  readonly method: string
  readonly #service: string
  /** By status and caller. */
  readonly cells: RpcCell[] = []
  /** `grpc.server.call.duration`, by status. */
  readonly durationsS = new Map<number, Histogram>()
  /** `grpc.server.call.started` */
  started = 0

  constructor(method: string, service: string) {
    this.method = method
    this.#service = service
  }

  /** The cell of an ended call, which is counted in gRPC's own metric. */
  add({ sourcePrincipal, security }: InboundRequest, outcome: InboundOutcome): InboundCell {
    const { grpcStatus, durationMs } = outcome
    const find = (source: string) =>
      this.cells.find(each => each.status === grpcStatus && each.source === source && each.security === security)
    const isFull = this.cells.length >= maxRpcCells
    let found = find(sourcePrincipal) ?? (isFull ? find('') : undefined)
    if (found === undefined) {
      const source = isFull ? '' : sourcePrincipal
      const errorType = serverErrorType(outcome)
      const attributes = {
        'rpc.system.name': 'grpc',
        'rpc.method': this.method === 'other' ? '_OTHER' : this.method,
        'rpc.status_code': grpcStatusName(grpcStatus),
        ...(errorType === '' ? {} : { 'error.type': errorType }),
        ...sourceAttributes(source, security),
        ...(this.#service === '' ? {} : { 'inmesh.destination.service': this.#service }),
      }
      const cell = { attributes, durationS: new Histogram(durationBoundariesS) }
      found = { status: grpcStatus, source, security, cell }
      this.cells.push(found)
    }
    const durationS = this.durationsS.get(grpcStatus) ?? new Histogram(grpcLatencyBoundariesS)
    this.durationsS.set(grpcStatus, durationS)
    durationS.record(durationMs / 1000)
    return found.cell
  }
}

/** What requests and their answers have in common that are counted in one cell. */
class CellKey {
  readonly cell: InboundCell
  readonly #method: string
  readonly #scheme: string
  readonly #security: ConnectionSecurity
  readonly #protocolVersion: string
  readonly #sourcePrincipal: string
  readonly #statusCode: number
  readonly #route: string
  readonly #errorType: string

  constructor(request: InboundRequest, { statusCode, route }: InboundOutcome, errorType: string, cell: InboundCell) {
    this.cell = cell
    this.#method = request.method
    this.#scheme = request.scheme
    this.#security = request.security
    this.#protocolVersion = request.protocolVersion
    this.#sourcePrincipal = request.sourcePrincipal
    this.#statusCode = statusCode
    this.#route = route
    this.#errorType = errorType
  }

  isOf(request: InboundRequest, { statusCode, route }: InboundOutcome, errorType: string): boolean {
    return (
      this.#statusCode === statusCode &&
      this.#method === request.method &&
      this.#sourcePrincipal === request.sourcePrincipal &&
      this.#route === route &&
      this.#errorType === errorType &&
      this.#security === request.security &&
      this.#scheme === request.scheme &&
      this.#protocolVersion === request.protocolVersion
    )
  }
}

/** Counters of the requests that this process serves. */
export class InboundStats {
  readonly #service: string
  /** By caller, and then by what the request and its answer were. */
  readonly #cells = new Map<string, Map<string, InboundCell>>()
  #count = 0
  /** Where the last request was counted: most are like the one before. */
  #last: CellKey | null = null
  readonly #rpcMethods = new Map<string, InboundRpcStats>()
  /** Requests that have begun and not ended. */
  active = 0

  /** @param service `inmesh.destination.service`; empty when it is not known */
  constructor(service: string) {
    this.#service = service
  }

  get cells(): Iterable<InboundCell> {
    return [...this.#cells.values()].flatMap(cells => [...cells.values()])
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
    const cell = request.isGrpc ? this.#rpcMethod(request.path).add(request, outcome) : this.#cell(request, outcome)
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

  #cell(request: InboundRequest, outcome: InboundOutcome): InboundCell {
    const last = this.#last
    const errorType = serverErrorType(outcome)
    if (last?.isOf(request, outcome, errorType) === true) return last.cell
    const cell = this.#find(request, outcome, errorType)
    this.#last = new CellKey(request, outcome, errorType, cell)
    return cell
  }

  #find(request: InboundRequest, outcome: InboundOutcome, errorType: string): InboundCell {
    const { method, scheme, protocolVersion, sourcePrincipal, security } = request
    const { statusCode, route } = outcome
    const known = knownMethod(method)
    const key = `${known} ${scheme} ${security} ${protocolVersion} ${statusCode} ${errorType} ${route}`
    const found = this.#cells.get(sourcePrincipal)?.get(key)
    if (found !== undefined) return found
    if (this.#count >= maxCells) return this.#create('', '', { 'otel.metric.overflow': true })
    return this.#create(sourcePrincipal, key, {
      'http.request.method': known,
      'url.scheme': scheme,
      'network.protocol.version': protocolVersion,
      ...(statusCode === 0 ? {} : { 'http.response.status_code': statusCode }),
      ...(route === '' ? {} : { 'http.route': route }),
      ...(errorType === '' ? {} : { 'error.type': errorType }),
      ...sourceAttributes(sourcePrincipal, security),
      ...(this.#service === '' ? {} : { 'inmesh.destination.service': this.#service }),
    })
  }

  #create(source: string, key: string, attributes: MetricAttributes): InboundCell {
    const cells = this.#cells.get(source) ?? new Map<string, InboundCell>()
    this.#cells.set(source, cells)
    const found = cells.get(key)
    if (found !== undefined) return found
    const cell = { attributes, durationS: new Histogram(durationBoundariesS) }
    cells.set(key, cell)
    this.#count++
    return cell
  }
}

/** Who called, and by what kind of connection. */
export function sourceAttributes(principal: string, security: ConnectionSecurity): { readonly [name: string]: string } {
  return {
    ...(principal === '' ? {} : { 'inmesh.source.principal': principal }),
    'inmesh.connection.security_policy': security,
  }
}
