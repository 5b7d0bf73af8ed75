import type { HistogramValue } from './histogram.ts'

/** Attribute values as OpenTelemetry has them; an absent one is left out. */
export type MetricAttributes = Readonly<Record<string, string | number | boolean>>

/** One value of a {@link MetricFamily}. */
export interface MetricPoint<Value> {
  readonly attributes: MetricAttributes
  readonly value: Value
}

/** One metric with all its points, as an exporter takes it. All are cumulative since {@link MetricFamily.startedAtWall}. */
export type MetricFamily = {
  readonly name: string
  readonly description: string
  /** UCUM, such as `s`, `By` or `{call}`. */
  readonly unit: string
  /** Start of counting, in milliseconds since the epoch. */
  readonly startedAtWall: number
} & (
  | { readonly kind: 'histogram'; readonly points: readonly MetricPoint<HistogramValue>[] }
  /** `counter` only grows, `updown` is a sum that can shrink, `gauge` is no sum. */
  | { readonly kind: 'counter' | 'updown' | 'gauge'; readonly points: readonly MetricPoint<number>[] }
)
