import type { AuthorizationPolicy } from '../model/authorization-policy.ts'
import type { DestinationRule } from '../model/destination-rule.ts'
import type { MeshConfig } from '../model/extension-provider.ts'
import type { GatewayRoute } from '../model/gateway-route.ts'
import type { EndpointSlice, KubernetesService } from '../model/kubernetes.ts'
import { type ObjectMeta, objectName } from '../model/object-meta.ts'
import type { PeerAuthentication } from '../model/peer-authentication.ts'
import type { RequestAuthentication } from '../model/request-authentication.ts'
import type { ServiceEntry, WorkloadEntry } from '../model/service-entry.ts'
import type { VirtualService } from '../model/virtual-service.ts'
import type { PathStep, Problem } from '../sources/problem.ts'
import type { SourceDocument } from '../sources/source-document.ts'
import { defaultRootNamespace } from '../translate/authorization/selected-policies.ts'
import { type FoundMeshConfig, findMeshConfig } from './find-mesh-config.ts'
import { readGatewayGrpcRoute } from './gateway/read-gateway-grpc-route.ts'
import { readGatewayHttpRoute } from './gateway/read-gateway-http-route.ts'
import { otherKind } from './other-kinds.ts'
import { ProblemSink } from './problem-sink.ts'
import { dryRunAnnotation, readAuthorizationPolicy } from './read-authorization-policy.ts'
import { readDestinationRule } from './read-destination-rule.ts'
import { readEndpointSlice } from './read-endpoint-slice.ts'
import { readKubernetesService } from './read-kubernetes-service.ts'
import { readMeshConfig } from './read-mesh-config.ts'
import { readMeta } from './read-meta.ts'
import { readPeerAuthentication } from './read-peer-authentication.ts'
import { readRequestAuthentication } from './read-request-authentication.ts'
import { readServiceEntry, readWorkloadEntry } from './read-service-entry.ts'
import { readVirtualService } from './read-virtual-service.ts'
import { Value } from './value.ts'

/** An object of a kind that is translated. */
export type MeshObject =
  | { readonly kind: 'virtual-service'; readonly object: VirtualService }
  | { readonly kind: 'gateway-route'; readonly object: GatewayRoute }
  | { readonly kind: 'destination-rule'; readonly object: DestinationRule }
  | { readonly kind: 'service-entry'; readonly object: ServiceEntry }
  | { readonly kind: 'workload-entry'; readonly object: WorkloadEntry }
  | { readonly kind: 'service'; readonly object: KubernetesService }
  | { readonly kind: 'endpoint-slice'; readonly object: EndpointSlice }
  | { readonly kind: 'mesh-config'; readonly object: MeshConfig }
  | { readonly kind: 'authorization-policy'; readonly object: AuthorizationPolicy }
  | { readonly kind: 'peer-authentication'; readonly object: PeerAuthentication }
  | { readonly kind: 'request-authentication'; readonly object: RequestAuthentication }

/** What became of a document. */
export interface DecodedDocument {
  /** `undefined` for a kind that is ignored, and for a document with errors. */
  readonly decoded: MeshObject | undefined
  readonly problems: readonly Problem[]
}

type Reader = (meta: ObjectMeta, root: Value) => MeshObject

/** By kind. */
type Readers = Readonly<Record<string, Reader>>

const objectFields = ['apiVersion', 'kind', 'metadata', 'spec', 'status'] as const

/** Reads an object that consists of its spec. */
const withSpec =
  <Kind extends MeshObject['kind'], Model>(kind: Kind, read: (meta: ObjectMeta, spec: Value) => Model) =>
  (meta: ObjectMeta, root: Value) => ({
    kind,
    object: read(meta, root.fields(...objectFields).spec),
  })

const istio: Readers = {
  VirtualService: withSpec('virtual-service', readVirtualService),
  DestinationRule: withSpec('destination-rule', readDestinationRule),
  ServiceEntry: withSpec('service-entry', readServiceEntry),
  WorkloadEntry: withSpec('workload-entry', readWorkloadEntry),
}

const gatewayHttp: Readers = { HTTPRoute: withSpec('gateway-route', readGatewayHttpRoute) }

const security: Readers = {
  AuthorizationPolicy: (meta, root) => {
    const { spec, metadata } = root.fields(...objectFields)
    return { kind: 'authorization-policy', object: readAuthorizationPolicy(meta, spec, metadata.field('annotations')) }
  },
  PeerAuthentication: withSpec('peer-authentication', readPeerAuthentication),
  RequestAuthentication: withSpec('request-authentication', readRequestAuthentication),
}

const readers: Readonly<Record<string, Readers>> = {
  'networking.istio.io/v1': istio,
  'networking.istio.io/v1beta1': istio,
  'networking.istio.io/v1alpha3': istio,
  'security.istio.io/v1': security,
  'security.istio.io/v1beta1': security,
  'gateway.networking.k8s.io/v1': { ...gatewayHttp, GRPCRoute: withSpec('gateway-route', readGatewayGrpcRoute) },
  'gateway.networking.k8s.io/v1beta1': gatewayHttp,
  v1: { Service: withSpec('service', readKubernetesService) },
  'discovery.k8s.io/v1': { EndpointSlice: (meta, root) => ({ kind: 'endpoint-slice', object: readEndpointSlice(meta, root) }) },
}

/** What `table` itself has under `name`: a document may be of kind `constructor`. */
const own = <Each>(table: Readonly<Record<string, Each>> | undefined, name: string): Each | undefined =>
  table && Object.hasOwn(table, name) ? table[name] : undefined

/** Decodes one document and finds everything that is wrong with it alone. */
export function readDocument(document: SourceDocument): DecodedDocument {
  const mesh = findMeshConfig(document)
  if (mesh !== undefined) return readMesh(document, mesh)
  const sink = new ProblemSink(document)
  const root = new Value(document.value, [], sink)
  const apiVersion = root.field('apiVersion').required().asString()
  const kind = root.field('kind').required().asString()
  if (apiVersion === undefined || kind === undefined) return { decoded: undefined, problems: sink.problems }
  const namespace = root.field('metadata').field('namespace').asString() || 'default'
  sink.object = `${kind} ${namespace}/${root.field('metadata').field('name').asString() ?? ''}`
  const read = own(own(readers, apiVersion), kind)
  if (!read) {
    const { severity, message } = otherKind(apiVersion, kind)
    sink.add(severity, ['kind'], message)
    return { decoded: undefined, problems: sink.problems }
  }
  const meta = readMeta(kind, root.field('metadata'), path => document.locate(path))
  sink.object = objectName(meta)
  if (apiVersion.includes('.istio.io/') && kind !== 'AuthorizationPolicy') refuseDryRun(root)
  const decoded = read(meta, root)
  return { decoded: sink.failed ? undefined : decoded, problems: sink.problems }
}

/** Nothing else is only tried: whoever wrote it expects that it is not enforced. */
function refuseDryRun(root: Value): void {
  const annotation = root.field('metadata').field('annotations').field(dryRunAnnotation)
  if (!annotation.isAbsent) annotation.error('is for an AuthorizationPolicy alone')
}

/** There is one of them, whatever it is kept in. */
function readMesh(document: SourceDocument, { document: inner, path, problems }: FoundMeshConfig): DecodedDocument {
  const root = new Value(document.value, [], new ProblemSink(document))
  const [kind = 'MeshConfig', name = 'istio'] = [root.field('kind').asString(), root.field('metadata').field('name').asString()]
  const namespace = root.field('metadata').field('namespace').asString() || defaultRootNamespace
  const locate = (at: readonly PathStep[]) => inner.locate(at)
  const meta: ObjectMeta = { kind, name, namespace, labels: {}, createdAtMs: Number.POSITIVE_INFINITY, locate }
  const sink = new ProblemSink(inner)
  sink.object = objectName(meta)
  let config = new Value(inner.value, [], sink)
  for (const step of path) config = config.field(String(step))
  const object = readMeshConfig(meta, config)
  const failed = sink.failed || problems.length > 0
  return {
    decoded: failed ? undefined : { kind: 'mesh-config', object },
    problems: [...problems.map(each => ({ ...each, object: sink.object })), ...sink.problems],
  }
}
