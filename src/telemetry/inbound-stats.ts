import { Histogram } from './histogram.ts'
import { type InboundOutcome, type InboundRequest, serverErrorType } from './inbound-request.ts'
import type { MetricAttributes } from './metric-family.ts'
import { durationBoundariesS, knownMethod } from './semantic-conventions.ts'

/** Combinations of method, status, route and error kept apart; the rest is counted together. */
const maxCells = 1000

/** Numbers of all inbound requests that have every attribute in common. */
export interface InboundCell {
  readonly attributes: MetricAttributes
  readonly durationS: Histogram
}

/** Counters of the requests that this process serves. */
export class InboundStats {
  readonly #service: string
  readonly #cells = new Map<string, InboundCell>()
  /** Requests that have begun and not ended. */
  active = 0

  /** @param service `inmesh.destination.service`; empty when it is not known */
  constructor(service: string) {
    this.#service = service
  }

  get cells(): Iterable<InboundCell> {
    return this.#cells.values()
  }

  /** Counts a finished request; returns where. */
  add(request: InboundRequest, outcome: InboundOutcome): InboundCell {
    const cell = this.#cell(request, outcome)
    cell.durationS.record(outcome.durationMs / 1000)
    return cell
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
