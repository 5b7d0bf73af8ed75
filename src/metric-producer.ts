import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import { version } from './otel.ts'
import type { Clock } from './runtime.ts'
import type { CallCell } from './telemetry/call-cell.ts'
import type { MeshTelemetry } from './telemetry/create-telemetry.ts'
import type { Histogram as MeshHistogram } from './telemetry/histogram.ts'

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]

/** Hands what the mesh counted to an OpenTelemetry reader, in the names and units of the semantic conventions. */
export class MeshMetricProducer implements MetricProducer {
  readonly #telemetry: MeshTelemetry
  readonly #clock: Clock
  readonly #startTime: HrTime

  constructor(telemetry: MeshTelemetry, clock: Clock) {
    this.#telemetry = telemetry
    this.#clock = clock
    this.#startTime = hrTime(clock.wallNow())
  }

  async collect(): Promise<CollectionResult> {
    const metrics = [this.#clientDuration(), this.#attempts(), this.#serverDuration(), this.#activeRequests()]
    const scopeMetrics = [
      { scope: { name: 'inmesh', version }, metrics: metrics.filter(({ dataPoints }) => dataPoints.length > 0) },
    ]
    return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] }
  }

  #clientDuration(): MetricData {
    const dataPoints = this.#cells().map(({ attributes, durationS }) => this.#histogram(attributes, durationS))
    return { ...histogramOf('http.client.request.duration', 'Duration of HTTP client requests.'), dataPoints }
  }

  #serverDuration(): MetricData {
    const dataPoints = this.#telemetry.inbound.points.map(({ method, statusCode, durationS }) =>
      this.#histogram(
        {
          'http.request.method': method,
          'http.response.status_code': statusCode,
          'url.scheme': 'http',
          ...(statusCode >= 500 ? { 'error.type': String(statusCode) } : {}),
        },
        durationS,
      ),
    )
    return { ...histogramOf('http.server.request.duration', 'Duration of HTTP server requests.'), dataPoints }
  }

  #attempts(): MetricData {
    const dataPoints = this.#cells().map(({ attributes, attempts }) => this.#point(attributes, attempts))
    return { ...sumOf('inmesh.client.attempts', 'Attempts made for HTTP client requests.', '{attempt}', true), dataPoints }
  }

  #activeRequests(): MetricData {
    const attributes = { 'http.request.method': '_OTHER', 'url.scheme': 'http' }
    const dataPoints = [this.#point(attributes, this.#telemetry.inbound.active)]
    return { ...sumOf('http.server.active_requests', 'Number of active HTTP server requests.', '{request}', false), dataPoints }
  }

  #cells(): CallCell[] {
    return [...this.#telemetry.stats].flatMap(({ cells }) => cells)
  }

  #point<T>(attributes: Attributes, value: T): DataPoint<T> {
    return { startTime: this.#startTime, endTime: hrTime(this.#clock.wallNow()), attributes, value }
  }

  #histogram(attributes: Attributes, histogram: MeshHistogram): DataPoint<Histogram> {
    const { boundaries, counts, count, sum, min, max } = histogram.value()
    return this.#point(attributes, { count, sum, min, max, buckets: { boundaries: [...boundaries], counts: [...counts] } })
  }
}

const histogramOf = (name: string, description: string) =>
  ({
    descriptor: { name, description, unit: 's', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
  }) as const

const sumOf = (name: string, description: string, unit: string, isMonotonic: boolean) =>
  ({
    descriptor: { name, description, unit, valueType: ValueType.INT },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.SUM,
    isMonotonic,
  }) as const
