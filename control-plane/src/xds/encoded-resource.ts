import { hash } from 'node:crypto'
import { type Message, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type Cluster, Cluster_DiscoveryType } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import { clusterType, resourceSchemas } from './resource-type.ts'

/** `resources` is field 2 of `DiscoveryResponse` and of `DeltaDiscoveryResponse`. */
const resourcesField = 2

/** One resource, encoded once for every client. */
export class EncodedResource {
  readonly name: string
  /** Hash of the encoded bytes, so equal on every replica and after every restart. */
  readonly version: string
  /** The `resources` field of a `DiscoveryResponse`, tag and length included. */
  readonly sotwField: Uint8Array
  /** The `resources` field of a `DeltaDiscoveryResponse`, tag and length included. */
  readonly deltaField: Uint8Array
  /** For a cluster of type EDS, the name of its assignment; otherwise empty. */
  readonly assignment: string

  constructor(name: string, version: string, sotwField: Uint8Array, deltaField: Uint8Array, assignment: string) {
    this.name = name
    this.version = version
    this.sotwField = sotwField
    this.deltaField = deltaField
    this.assignment = assignment
  }
}

/**
 * Encodes one resource.
 *
 * @throws when `typeUrl` has no schema here
 */
export function encodeResource(typeUrl: string, name: string, message: Message): EncodedResource {
  const schema = resourceSchemas.get(typeUrl)
  if (!schema) throw new TypeError(`${typeUrl} cannot be encoded: no schema`)
  const value = toBinary(schema, message)
  const version = hash('sha256', value, 'hex').slice(0, 16)
  const any = new BinaryWriter().tag(1, WireType.LengthDelimited).string(typeUrl)
  const anyBytes = any.tag(2, WireType.LengthDelimited).bytes(value).finish()
  const resource = new BinaryWriter().tag(3, WireType.LengthDelimited).string(name)
  resource.tag(1, WireType.LengthDelimited).string(version)
  resource.tag(2, WireType.LengthDelimited).bytes(anyBytes)
  return new EncodedResource(
    name,
    version,
    new BinaryWriter().tag(resourcesField, WireType.LengthDelimited).bytes(anyBytes).finish(),
    new BinaryWriter().tag(resourcesField, WireType.LengthDelimited).bytes(resource.finish()).finish(),
    typeUrl === clusterType ? assignmentOf(message as Cluster) : '',
  )
}

function assignmentOf(cluster: Cluster): string {
  const { clusterDiscoveryType: discovery } = cluster
  if (discovery.case !== 'type' || discovery.value !== Cluster_DiscoveryType.EDS) return ''
  return cluster.edsClusterConfig?.serviceName || cluster.name
}
