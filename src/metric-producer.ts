import type { HrTime } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import type { Clock } from './runtime.ts'
import type { MetricFamily, MetricPoint } from './telemetry/metric-family.ts'
import { ValueType } from './telemetry/opentelemetry.ts'
import type { Stats } from './telemetry/stats.ts'
import { version } from './version.ts'

/**
 * Hands what the mesh counted to an OpenTelemetry reader, in the names and units of the semantic conventions. Cumulative, whatever
 * temporality the reader would prefer.
 */
export class MeshMetricProducer implements MetricProducer {
  readonly #stats: Pick<Stats, 'collect'>
  readonly #clock: Clock

  constructor(stats: Pick<Stats, 'collect'>, clock: Clock) {
    this.#stats = stats
    this.#clock = clock
  }

  async collect(): Promise<CollectionResult> {
    const endTime = hrTime(this.#clock.wallNow())
    const metrics = this.#stats.collect().map(family => toMetricData(family, endTime))
    return {
      resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics: [{ scope: { name: 'inmesh', version }, metrics }] },
      errors: [],
    }
  }
}

function toMetricData(family: MetricFamily, endTime: HrTime): MetricData {
  const { name, description, unit, kind } = family
  const startTime = hrTime(family.startedAtWall)
  const aggregationTemporality = AggregationTemporality.CUMULATIVE
  const point = <Value, Out>({ attributes, value }: MetricPoint<Value>, convert: (value: Value) => Out): DataPoint<Out> => ({
    startTime,
    endTime,
    attributes,
    value: convert(value),
  })
  if (kind === 'histogram') {
    const dataPoints = family.points.map(each =>
      point(each, ({ boundaries, counts, count, sum, min, max }) => {
        const buckets = { boundaries: [...boundaries], counts: [...counts] }
        return count === 0 ? { buckets, count, sum } : { buckets, count, sum, min, max }
      }),
    )
    const descriptor = { name, description, unit, valueType: ValueType.DOUBLE }
    return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints }
  }
  const descriptor = { name, description, unit, valueType: kind === 'gauge' ? ValueType.DOUBLE : ValueType.INT }
  const dataPoints = family.points.map(each => point(each, value => value))
  return kind === 'gauge'
    ? { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints }
    : { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, isMonotonic: kind === 'counter', dataPoints }
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}
