import { CallCell } from './call-cell.ts'
import type { MetricAttributes } from './metric-family.ts'
import type { Outcome } from './outcome.ts'
import { type RpcMethodStats, RpcStats } from './rpc-stats.ts'
import { clientErrorType, knownMethod, serverAddress } from './semantic-conventions.ts'
import type { CallLabels, CallSeries } from './telemetry.ts'

/** Combinations of method, status, flag and error kept apart within one series; the rest is counted together. */
const maxCells = 100

/**
 * The counters of one {@link CallLabels}. The cell of a call is nearly always that of the call before it, and is found without building
 * a key.
 */
export class CallStats implements CallSeries {
  readonly labels: CallLabels
  readonly #shared: MetricAttributes
  readonly #cells: CallCell[]
  #last: CallCell | null
  #rpc: RpcStats | null

  /** @param sourceService who calls: `inmesh.source.service`; empty when it is not known */
  constructor(labels: CallLabels, sourceService: string) {
    this.labels = labels
    this.#shared = sharedAttributes(labels, sourceService)
    this.#cells = []
    this.#last = null
    this.#rpc = null
  }

  get cells(): readonly CallCell[] {
    return this.#cells
  }

  /** The gRPC calls of the series. */
  get rpc(): RpcStats {
    this.#rpc ??= new RpcStats(rpcAttributes(this.#shared))
    return this.#rpc
  }

  /** The methods of gRPC that were called. */
  get rpcMethods(): readonly RpcMethodStats[] {
    return this.#rpc === null ? [] : this.#rpc.methods
  }

  /** The cell that a finished HTTP call belongs to. */
  cell(outcome: Outcome): CallCell {
    const last = this.#last
    if (last !== null && isOf(last, outcome)) return last
    const found = this.#find(outcome)
    this.#last = found
    return found
  }

  #find(outcome: Outcome): CallCell {
    for (const cell of this.#cells) if (isOf(cell, outcome)) return cell
    const { statusCode, flag } = outcome
    const isFull = this.#cells.length >= maxCells
    const method = isFull ? '_OTHER' : knownMethod(outcome.method)
    const errorType = isFull ? '_OTHER' : clientErrorType(outcome)
    // An unknown method, and whatever comes when there is no more room, has been normalised and may have a cell already.
    for (const cell of this.#cells) {
      const isSame = cell.statusCode === statusCode && cell.flag === flag
      if (cell.method === method && cell.errorType === errorType && (isSame || isFull)) return cell
    }
    return this.#add(method, isFull ? 0 : statusCode, isFull ? '' : flag, errorType)
  }

  #add(method: string, statusCode: number, flag: string, errorType: string): CallCell {
    const cell = new CallCell(method, statusCode, flag, errorType, {
      'http.request.method': method,
      ...this.#shared,
      ...(statusCode === 0 ? {} : { 'http.response.status_code': statusCode }),
      ...(errorType === '' ? {} : { 'error.type': errorType }),
      ...(flag === '' ? {} : { 'inmesh.response_flag': flag }),
    })
    this.#cells.push(cell)
    return cell
  }
}

function isOf(cell: CallCell, outcome: Outcome): boolean {
  if (cell.statusCode !== outcome.statusCode || cell.method !== outcome.method || cell.flag !== outcome.flag) return false
  // With a status, the status alone decides about the error type.
  if (outcome.error === null || outcome.statusCode >= 400) return cell.statusCode >= 400 || cell.errorType === ''
  return cell.errorType === clientErrorType(outcome)
}

function sharedAttributes(labels: CallLabels, sourceService: string): MetricAttributes {
  const { scheme, authority, urlTemplate, routeName, clusterName, destination, protocolVersion } = labels
  const { address, port } = serverAddress(authority, scheme)
  return {
    'server.address': address,
    'server.port': port,
    'url.scheme': scheme,
    ...(protocolVersion === undefined ? {} : { 'network.protocol.version': protocolVersion }),
    ...(urlTemplate === '' ? {} : { 'url.template': urlTemplate }),
    ...(sourceService === '' ? {} : { 'inmesh.source.service': sourceService }),
    ...(destination.service === '' ? {} : { 'inmesh.destination.service': destination.service }),
    ...(destination.version === '' ? {} : { 'inmesh.destination.version': destination.version }),
    ...(routeName === '' ? {} : { 'inmesh.route': routeName }),
    ...(clusterName === '' ? {} : { 'inmesh.cluster': clusterName }),
  }
}

/** What the conventions have for RPC, too. */
function rpcAttributes({
  'url.scheme': _scheme,
  'url.template': _template,
  'network.protocol.version': _version,
  ...shared
}: MetricAttributes) {
  return shared
}
