import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { MeshError } from '../errors.ts'
import { version } from '../version.ts'
import type { Locality } from './model/endpoint.ts'

/** Who this process is to a control plane: `envoy.config.core.v3.Node`. */
export interface XdsNode {
  readonly id: string
  readonly cluster: string
  readonly locality: Locality
  readonly metadata: JsonObject
  readonly userAgentName: string
  readonly userAgentVersion: string
  readonly clientFeatures: readonly string[]
}

/** A service that this process offers, as it tells the control plane. */
export interface Workload {
  /** A service name, such as `reviews`. */
  readonly service: string
  /** An IP address that others reach. */
  readonly address: string
  readonly port: number
  readonly protocol: 'http' | 'http2' | 'https' | 'grpc' | 'grpc-web' | 'tcp' | 'tls'
}

/** What a process knows of itself beside its environment. */
export interface ProcessIdentity {
  readonly hostname: string
  readonly pid: number
  /** Tells two lives of the same process id apart. */
  readonly unique: string
}

/** The node as a bootstrap gives it. */
export interface PartialNode {
  readonly id?: string
  readonly cluster?: string
  readonly locality?: Locality
  readonly metadata?: JsonObject
}

/**
 * Completes the node of a bootstrap from `INMESH_SERVICE` (the cluster), `INMESH_NODE_ID`, `INMESH_LABELS` (`k=v,k=v`) and
 * `INMESH_LOCALITY` (`region/zone/subzone`). What the bootstrap says wins. The id is `service~hostname~pid~random` by default.
 *
 * @throws MeshError `MESH_ERR_BOOTSTRAP` naming the variable that cannot be read
 */
export function completeNode(
  given: PartialNode,
  env: Readonly<Record<string, string | undefined>>,
  self: ProcessIdentity,
): XdsNode {
  const cluster = given.cluster || env.INMESH_SERVICE || ''
  const { LABELS: labels, ...metadata } = given.metadata ?? {}
  return {
    id: given.id || env.INMESH_NODE_ID || [cluster || 'inmesh', self.hostname, self.pid, self.unique].join('~'),
    cluster,
    locality: given.locality ?? parseLocality(env.INMESH_LOCALITY ?? ''),
    metadata: {
      NAMESPACE: 'default',
      ...metadata,
      LABELS: { ...parseLabels(env.INMESH_LABELS ?? ''), ...(isRecord(labels) ? labels : {}) },
    },
    userAgentName: 'inmesh',
    userAgentVersion: version,
    clientFeatures: ['envoy.lb.does_not_support_overprovisioning', 'xds.config.resource-in-sotw'],
  }
}

/** The node with the workloads it offers, in the metadata that the control plane registers them from. */
export function withWorkloads(node: XdsNode, workloads: readonly Workload[]): XdsNode {
  const endpoints = workloads.map(({ service, address, port, protocol }) => ({ service, address, port, protocol }))
  return { ...node, metadata: { ...node.metadata, INMESH_ENDPOINTS: endpoints } }
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const pair of text.split(',')) {
    if (pair.trim() === '') continue
    const at = pair.indexOf('=')
    if (at < 1) throw new MeshError('MESH_ERR_BOOTSTRAP', `INMESH_LABELS: must be key=value pairs, got ${JSON.stringify(pair)}`)
    labels[pair.slice(0, at).trim()] = pair.slice(at + 1).trim()
  }
  return labels
}

function parseLocality(text: string): Locality {
  const parts = text.split('/')
  if (parts.length > 3)
    throw new MeshError('MESH_ERR_BOOTSTRAP', `INMESH_LOCALITY: must be region/zone/subzone, got ${JSON.stringify(text)}`)
  const [region = '', zone = '', subZone = ''] = parts
  return { region, zone, subZone }
}

function isRecord(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
