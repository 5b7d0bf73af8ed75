import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  ConsoleMetricExporter,
  type IMetricReader,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import { NodeSDK, startNodeSdk } from '@opentelemetry/sdk-node'
import { MeshMetricProducer } from './metric-producer.ts'
import { type Clock, systemClock } from './runtime.ts'
import type { MeshTelemetry } from './telemetry/create-telemetry.ts'
import { HeadSampler } from './telemetry/head-sampler.ts'

export { MeshMetricProducer } from './metric-producer.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Options of {@link startOtel}. */
export interface OtelOptions {
  /** What is exported: `mesh.telemetry`. */
  readonly telemetry: MeshTelemetry
  /** Default: `process.env`. The exporters read their own variables from `process.env`, whatever is given here. */
  readonly env?: Environment
  readonly clock?: Clock
}

/** A running SDK. */
export interface RunningSdk {
  /** Exports what is left. Never rejects: an exporter that fails is its own problem. */
  shutdown(): Promise<void>
}

/**
 * Starts `@opentelemetry/sdk-node` as the standard `OTEL_*` variables say, with the mesh's own numbers in its metric reader and spans made
 * only of sampled calls. `service.name` is `OTEL_SERVICE_NAME`, else `INMESH_SERVICE`; `service.version` is the `version` of `INMESH_LABELS`;
 * `OTEL_RESOURCE_ATTRIBUTES` wins over both.
 *
 * @returns `null` when the application has an SDK of its own already; spans and metrics go to that one
 */
export function startOtel({ telemetry, env = process.env, clock = systemClock }: OtelOptions): RunningSdk | null {
  if (telemetry.tracing.tracer !== null) return null
  // A file describes the whole SDK: nothing can be added to it, and numbers go through ordinary instruments.
  if (env.OTEL_CONFIG_FILE) return safely(startNodeSdk())
  const producer = new MeshMetricProducer(telemetry.stats, clock)
  const sdk = new NodeSDK({
    instrumentations: [],
    metricReaders: metricReaders(env, producer),
    resource: defaultResource().merge(resourceFromAttributes(resourceAttributes(env))),
    idGenerator: telemetry.tracing.ids,
  })
  telemetry.producesMetrics()
  sdk.start()
  telemetry.tracing.sampler = HeadSampler.fromEnvironment(env)
  return safely(sdk)
}

function safely(sdk: { shutdown(): Promise<void> }): RunningSdk {
  let ended: Promise<void> | undefined
  return {
    shutdown() {
      ended ??= sdk.shutdown().catch(() => {})
      return ended
    },
  }
}

/** Attributes that the environment detector of the SDK overrides with `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`. */
function resourceAttributes({ INMESH_SERVICE, INMESH_LABELS = '' }: Environment): Record<string, string> {
  const version = /(?:^|,)\s*version\s*=\s*([^,]*)/.exec(INMESH_LABELS)?.[1]?.trim()
  return {
    ...(INMESH_SERVICE ? { 'service.name': INMESH_SERVICE } : {}),
    ...(version ? { 'service.version': version } : {}),
  }
}

/** Readers as `OTEL_METRICS_EXPORTER` names them; the SDK's own ones cannot be given a producer. */
function metricReaders(env: Environment, producer: MetricProducer): IMetricReader[] {
  const names = new Set((env.OTEL_METRICS_EXPORTER || 'otlp').split(',').map(name => name.trim()))
  if (names.has('none')) return []
  const exportIntervalMillis = milliseconds(env.OTEL_METRIC_EXPORT_INTERVAL, 60_000)
  // The reader refuses a timeout above its interval.
  const exportTimeoutMillis = Math.min(milliseconds(env.OTEL_METRIC_EXPORT_TIMEOUT, 30_000), exportIntervalMillis)
  const reader = (exporter: PushMetricExporter) =>
    new PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis, metricProducers: [producer] })
  return [
    ...(names.has('otlp') ? [reader(otlpExporter(env))] : []),
    ...(names.has('console') ? [reader(new ConsoleMetricExporter())] : []),
  ]
}

function otlpExporter(env: Environment): PushMetricExporter {
  switch ((env.OTEL_EXPORTER_OTLP_METRICS_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL)?.trim()) {
    case 'grpc':
      return new GrpcMetricExporter()
    case 'http/json':
      return new JsonMetricExporter()
    default:
      return new ProtobufMetricExporter()
  }
}

function milliseconds(text: string | undefined, byDefault: number): number {
  const value = Number(text)
  return text !== undefined && text !== '' && value > 0 ? value : byDefault
}
