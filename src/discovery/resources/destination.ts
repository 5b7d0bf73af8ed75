import type { Destination } from '../../telemetry/outcome.ts'
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'

/**
 * Who a cluster leads to: the first of `services` in its `istio` metadata, else the parts of a name
 * `outbound|port|subset|host`, else the name itself. A Kubernetes host becomes its service name.
 */
export function decodeDestination(message: Cluster): Destination {
  const parts = message.name.split('|')
  const [direction, , subset = '', host = ''] = parts
  const isIstioName = parts.length === 4 && (direction === 'outbound' || direction === 'inbound')
  const version = isIstioName ? subset : ''
  const service = serviceName(message.metadata?.filterMetadata.istio)
  if (service !== undefined) return { service, version }
  return { service: isIstioName ? shortName(host) : message.name, version }
}

function serviceName(metadata: unknown): string | undefined {
  const services = property(metadata, 'services')
  const name = Array.isArray(services) ? property(services[0], 'name') : undefined
  return typeof name === 'string' && name !== '' ? name : undefined
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value ? (value as Record<string, unknown>)[name] : undefined
}

function shortName(host: string): string {
  const match = /^([^.]+)\.[^.]+\.svc(\.|$)/.exec(host)
  return match?.[1] ?? host
}
