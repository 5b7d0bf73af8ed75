import { createRequire } from 'node:module'
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { type MetricProducer, PeriodicExportingMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics'
import { NodeSDK } from '@opentelemetry/sdk-node'

type Environment = Readonly<Record<string, string | undefined>>

/** A running SDK. */
export interface RunningSdk {
  /** Exports what is left. Never rejects: an exporter that fails is its own problem. */
  shutdown(): Promise<void>
}

/** Whether the `OTEL_*` variables ask for anything to be exported. */
export function isOtelWanted(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED === 'true') return false
  return Object.keys(env).some(name => /^OTEL_(EXPORTER_OTLP(_\w+)?_ENDPOINT|(TRACES|METRICS|LOGS)_EXPORTER)$/.test(name))
}

/**
 * Starts `@opentelemetry/sdk-node` as the standard `OTEL_*` variables say. The service's name is `OTEL_SERVICE_NAME`, else `INMESH_SERVICE`.
 *
 * @param producer hands the mesh's own metrics to the reader
 */
export function startSdk(env: Environment, producer: MetricProducer): RunningSdk {
  const service = env.OTEL_SERVICE_NAME ?? env.INMESH_SERVICE
  const metricReaders = metricExporter(env).map(exporter => {
    const exportIntervalMillis = Number(env.OTEL_METRIC_EXPORT_INTERVAL ?? 60_000)
    const exportTimeoutMillis = Math.min(Number(env.OTEL_METRIC_EXPORT_TIMEOUT ?? 30_000), exportIntervalMillis)
    return new PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis, metricProducers: [producer] })
  })
  const labels = env.INMESH_LABELS?.match(/(?:^|,)version=([^,]*)/)
  const attributes = {
    'service.instance.id': env.INMESH_NODE_ID ?? crypto.randomUUID(),
    ...(labels?.[1] ? { 'service.version': labels[1] } : {}),
  }
  const sdk = new NodeSDK({
    instrumentations: [],
    metricReaders,
    resource: resourceFromAttributes(attributes),
    ...(service === undefined ? {} : { serviceName: service }),
  })
  sdk.start()
  return { shutdown: () => sdk.shutdown().catch(() => {}) }
}

function metricExporter(env: Environment): PushMetricExporter[] {
  const wanted = env.OTEL_METRICS_EXPORTER ?? 'otlp'
  if (!wanted.split(',').includes('otlp')) return []
  switch (env.OTEL_EXPORTER_OTLP_METRICS_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'http/protobuf') {
    case 'grpc':
      return [new GrpcMetricExporter()]
    case 'http/json':
      return [new JsonMetricExporter()]
    default:
      return [new ProtobufMetricExporter()]
  }
}

/** The version of this package, for the instrumentation scope. */
export const version: string = createRequire(import.meta.url)('../package.json').version
