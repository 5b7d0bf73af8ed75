import type { Histogram, Meter } from '@opentelemetry/api'
import { version } from '../version.ts'
import type { MetricAttributes } from './metric-family.ts'
import { createNoopMeter, metrics } from './opentelemetry.ts'
import type { Outcome } from './outcome.ts'
import { durationBoundariesS, sizeBoundariesBytes } from './semantic-conventions.ts'

interface Instruments {
  readonly clientDuration: Histogram
  readonly requestSize: Histogram
  readonly responseSize: Histogram
  readonly serverDuration: Histogram
  readonly rpcDuration: Histogram
  readonly rpcServerDuration: Histogram
}

/** Ordinary instruments, for an application that has an SDK of its own and no producer of ours in it. They cost microseconds a call. */
export class ApiInstruments {
  #instruments: Instruments | null
  #isDisabled: boolean

  constructor() {
    this.#instruments = null
    this.#isDisabled = false
  }

  get isEnabled(): boolean {
    return this.#instruments !== null
  }

  /** Never again. */
  disable(): void {
    this.#isDisabled = true
    this.#instruments = null
  }

  /** Looks whether a meter provider has been registered since. */
  look(): void {
    if (this.#isDisabled || this.#instruments !== null) return
    const meter = metrics.getMeter('inmesh', version)
    // The API has one meter for "nobody is there".
    if (meter === createNoopMeter() || meter.constructor.name === 'NoopMeter') return
    this.#instruments = createInstruments(meter)
  }

  recordCall(attributes: MetricAttributes, { durationMs, requestBytes, responseBytes }: Outcome): void {
    const instruments = this.#instruments
    if (instruments === null) return
    instruments.clientDuration.record(durationMs / 1000, attributes)
    instruments.requestSize.record(requestBytes, attributes)
    instruments.responseSize.record(responseBytes, attributes)
  }

  recordRpc(attributes: MetricAttributes, { durationMs }: Outcome): void {
    this.#instruments?.rpcDuration.record(durationMs / 1000, attributes)
  }

  recordRequest(attributes: MetricAttributes, durationMs: number, isGrpc: boolean): void {
    const instruments = this.#instruments
    if (instruments === null) return
    const histogram = isGrpc ? instruments.rpcServerDuration : instruments.serverDuration
    histogram.record(durationMs / 1000, attributes)
  }
}

function createInstruments(meter: Meter): Instruments {
  const seconds = { unit: 's', advice: { explicitBucketBoundaries: [...durationBoundariesS] } }
  const bytes = { unit: 'By', advice: { explicitBucketBoundaries: [...sizeBoundariesBytes] } }
  return {
    clientDuration: meter.createHistogram('http.client.request.duration', seconds),
    requestSize: meter.createHistogram('http.client.request.body.size', bytes),
    responseSize: meter.createHistogram('http.client.response.body.size', bytes),
    serverDuration: meter.createHistogram('http.server.request.duration', seconds),
    rpcDuration: meter.createHistogram('rpc.client.call.duration', seconds),
    rpcServerDuration: meter.createHistogram('rpc.server.call.duration', seconds),
  }
}
