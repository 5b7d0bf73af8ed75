import type { JsonObject } from '@bufbuild/protobuf'
import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { MeshLocality } from '../model/mesh-service.ts'

/** What decides which configuration a client gets. */
export interface View {
  /** `proxyless` for clients that ask for a listener by the name they call, `envoy` for a proxy that binds ports. */
  readonly kind: 'proxyless' | 'envoy'
  /** Where short names are looked up. */
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly locality: MeshLocality
  /** The one port on which a proxy takes every call; without it, it binds the services' own ports. From `INMESH_OUTBOUND_PORT`. */
  readonly outboundPort: number | undefined
  /** Whether it may be asked for load reports. A proxy has a server for them in its bootstrap, or none. */
  readonly reportsLoad: boolean
}

/** Once asked, it reports for ever: nothing ends the stream or its timer, and so nothing the process (grpc-js-xds 1.14.1). */
const neverStopsReporting = 'gRPC Node Pure JS'

/**
 * The view of a client. A node is a proxy when it calls itself Envoy, unless its metadata `GENERATOR` is `grpc`, as Istio has it. The
 * metadata `NAMESPACE` (default `default`), `LABELS` and `INMESH_OUTBOUND_PORT` count, and its locality.
 */
export function viewOf(node: Node | undefined): View {
  const metadata = node?.metadata ?? {}
  const { namespace, labels, outboundPort } = read(metadata)
  const { region = '', zone = '', subZone = '' } = node?.locality ?? {}
  const kind = node?.userAgentName === 'envoy' && metadata.GENERATOR !== 'grpc' ? 'envoy' : 'proxyless'
  return {
    kind,
    namespace,
    labels,
    locality: { region, zone, subZone },
    outboundPort: kind === 'envoy' ? outboundPort : undefined,
    reportsLoad: kind === 'proxyless' && node?.userAgentName !== neverStopsReporting,
  }
}

function read(metadata: JsonObject): Pick<View, 'namespace' | 'labels' | 'outboundPort'> {
  const { NAMESPACE, LABELS, INMESH_OUTBOUND_PORT } = metadata
  const given = typeof LABELS === 'object' && LABELS !== null && !Array.isArray(LABELS) ? Object.entries(LABELS) : []
  const port = Number(INMESH_OUTBOUND_PORT ?? Number.NaN)
  return {
    namespace: typeof NAMESPACE === 'string' && NAMESPACE !== '' ? NAMESPACE : 'default',
    labels: Object.fromEntries(given.flatMap(([key, value]) => (typeof value === 'string' ? [[key, value] as const] : []))),
    outboundPort: Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined,
  }
}

/** Names a view: equal for equal views. */
export function viewKey({ kind, namespace, labels, locality, outboundPort, reportsLoad }: View): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([
    kind,
    namespace,
    sorted,
    locality.region,
    locality.zone,
    locality.subZone,
    outboundPort ?? 0,
    reportsLoad,
  ])
}
