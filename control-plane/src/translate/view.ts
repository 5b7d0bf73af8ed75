import type { JsonObject } from '@bufbuild/protobuf'
import type { Node } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { type MeshLocality, withTopology } from '../model/mesh-service.ts'

/** What decides which configuration a client gets. */
export interface View {
  /** `proxyless` for clients that ask for a listener by the name they call, `envoy` for a proxy that binds ports. */
  readonly kind: 'proxyless' | 'envoy'
  /** Which software it is: what one understands another refuses. */
  readonly agent: 'inmesh' | 'other'
  /** It has proved who it is, and can be asked to prove it to others. */
  readonly isIdentified: boolean
  /** Where short names are looked up. */
  readonly namespace: string
  /** With those of its locality. */
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
 * metadata `NAMESPACE` (default `default`), `LABELS` and `INMESH_OUTBOUND_PORT` count, and its locality. The namespace of a certificate is
 * that of its client.
 *
 * @param identity SPIFFE ID of its certificate; `undefined` in plaintext
 * @returns `undefined` for a client that says it is in another namespace
 */
export function viewOf(node: Node | undefined, identity?: string): View | undefined {
  const metadata = node?.metadata ?? {}
  const { namespace: claimed, labels, outboundPort } = read(metadata)
  const proved = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\//.exec(identity ?? '')?.[1]
  if (proved !== undefined && claimed !== proved && claimed !== 'default') return undefined
  const namespace = proved ?? claimed
  const { region = '', zone = '', subZone = '' } = node?.locality ?? {}
  const locality = { region, zone, subZone }
  const kind = node?.userAgentName === 'envoy' && metadata.GENERATOR !== 'grpc' ? 'envoy' : 'proxyless'
  return {
    kind,
    agent: node?.userAgentName === 'inmesh' ? 'inmesh' : 'other',
    isIdentified: identity !== undefined,
    namespace,
    labels: withTopology(withApp(labels, metadata), locality),
    locality,
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

/** A workload that says only which service it is has that for its `app`, as its endpoints do. */
function withApp(labels: View['labels'], { INMESH_ENDPOINTS: endpoints }: JsonObject): View['labels'] {
  if (labels.app !== undefined || !Array.isArray(endpoints)) return labels
  const [first] = endpoints
  const service = typeof first === 'object' && first !== null && 'service' in first ? first.service : undefined
  return typeof service === 'string' ? { ...labels, app: service } : labels
}

/** Names a view: equal for equal views. */
export function viewKey({ kind, agent, isIdentified, namespace, labels, locality, outboundPort, reportsLoad }: View): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([
    kind,
    agent,
    isIdentified,
    namespace,
    sorted,
    locality.region,
    locality.zone,
    locality.subZone,
    outboundPort ?? 0,
    reportsLoad,
  ])
}
