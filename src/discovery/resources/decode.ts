import type { Message } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { Any } from '@bufbuild/protobuf/wkt'
import { clusterLoadAssignmentType, clusterType, listenerType, resourceType, routeConfigurationType } from '../message-types.ts'
import type { ClusterConfig } from '../model/cluster.ts'
import type { ClusterLoadAssignment } from '../model/endpoint.ts'
import type { InboundListener } from '../model/inbound-listener.ts'
import type { Listener } from '../model/listener.ts'
import type { RouteConfiguration } from '../model/route.ts'
import type { MessageType } from '../protobuf/message-type.ts'
import type { ResourceTypes } from '../resource-type.ts'
import { typeUrlOf } from './any.ts'
import { decodeCluster } from './cluster.ts'
import { readClusterLoadAssignment } from './cluster-load-assignment-reader.ts'
import type { Decoded } from './decoded.ts'
import { withGrpcDefaults } from './grpc-defaults.ts'
import { decodeInboundListener } from './inbound-listener.ts'
import { decodeListener } from './listener.ts'
import { Problems } from './problems.ts'
import { readRouteConfiguration } from './route-configuration.ts'

/** A resource with the name under which it is subscribed; the name is there even when the rest cannot be read. */
export interface DecodedResource<T> {
  /** Empty when not even that can be read. */
  readonly name: string
  readonly decoded: Decoded<T>
}

/** One of the four kinds of xDS resource. */
export interface ResourceType<T> {
  /** The last word of the message's name, such as `Cluster`. */
  readonly kind: string
  readonly typeUrl: string
  /** Decodes and checks the value of an `Any`. Throws nothing: what is wrong is in the result, every error with its path. */
  decode(bytes: Uint8Array): DecodedResource<T>
  /**
   * {@link decode} in slices of well under a millisecond: an assignment by endpoints, a route configuration by virtual hosts.
   *
   * @param held the resource of a name that is in use, from which an assignment takes over what did not change
   */
  decodeInSlices(bytes: Uint8Array, held?: (name: string) => T | undefined): Generator<undefined, DecodedResource<T>, undefined>
}

/** Every kind of resource, in the order in which one leads to the next. */
export const resourceTypes: {
  readonly listener: ResourceType<Listener>
  readonly routeConfiguration: ResourceType<RouteConfiguration>
  readonly cluster: ResourceType<ClusterConfig>
  readonly clusterLoadAssignment: ResourceType<ClusterLoadAssignment>
} = {
  listener: resourceTypeOf(listenerType, decodeListener),
  routeConfiguration: slicedResourceType(routeConfigurationType, readRouteConfiguration),
  cluster: resourceTypeOf(clusterType, decodeCluster),
  clusterLoadAssignment: slicedResourceType(clusterLoadAssignmentType, readClusterLoadAssignment),
}

const forGrpc = resourceTypeOf(clusterType, (message, problems) => decodeCluster(withGrpcDefaults(message), problems))

/** What decides how resources are read. */
export interface ReadingOptions {
  /** Whether a listener of that name is read as a server's (gRFC A36). Asked whenever one comes. */
  readonly isInbound: (name: string) => boolean
  /** Whether clusters are made for clients of gRPC alone: see {@link withGrpcDefaults}. */
  readonly isForGrpc: boolean
}

/** The same for a process that also serves, or whose control plane speaks to it as to a client of gRPC. */
export function resourceTypesOf({ isInbound, isForGrpc }: ReadingOptions): ResourceTypes {
  const { listener: outbound } = resourceTypes
  const inbound = resourceTypeOf(listenerType, decodeInboundListener)
  const typeOf = (bytes: Uint8Array): ResourceType<Listener | InboundListener> =>
    isInbound(readName(bytes)) ? inbound : outbound
  return {
    ...resourceTypes,
    ...(isForGrpc ? { cluster: forGrpc } : {}),
    listener: {
      kind: outbound.kind,
      typeUrl: outbound.typeUrl,
      decode: bytes => typeOf(bytes).decode(bytes),
      decodeInSlices: bytes => typeOf(bytes).decodeInSlices(bytes),
    },
  }
}

/** What an `Any` of a response holds: a resource, with the name and version of the `Resource` around it if there was one. */
export interface UnwrappedResource {
  readonly typeUrl: string
  readonly value: Uint8Array
  readonly name: string | undefined
  readonly version: string | undefined
}

/**
 * Takes an `envoy.service.discovery.v3.Resource` off (`xds.config.resource-in-sotw`).
 *
 * @throws Error when there is one that cannot be parsed
 */
export function unwrapAny(any: Any): UnwrappedResource {
  if (any.typeUrl !== typeUrlOf(resourceType)) {
    return { typeUrl: any.typeUrl, value: any.value, name: undefined, version: undefined }
  }
  const { name, version, resource } = resourceType.decode(any.value)
  return { typeUrl: resource?.typeUrl ?? '', value: resource?.value ?? new Uint8Array(), name, version }
}

function resourceTypeOf<M extends Message, T>(
  schema: MessageType<M>,
  decodeMessage: (message: M, problems: Problems) => T | undefined,
): ResourceType<T> {
  const decode = (bytes: Uint8Array): DecodedResource<T> => {
    const name = readName(bytes)
    const problems = Problems.of(`${schema.name} ${JSON.stringify(name)}`)
    const message = parse(schema, bytes, problems)
    const value = message && decodeMessage(message, problems)
    return { name, decoded: toDecoded(value, problems) }
  }
  return {
    kind: schema.name,
    typeUrl: typeUrlOf(schema),
    decode,
    // biome-ignore lint/correctness/useYield: one slice
    *decodeInSlices(bytes) {
      return decode(bytes)
    },
  }
}

/** A kind of resource that is large enough to be read in slices. */
function slicedResourceType<M extends Message, T>(
  schema: MessageType<M>,
  read: (bytes: Uint8Array, problems: Problems, before?: T) => Generator<undefined, T, undefined>,
): ResourceType<T> {
  function* decodeInSlices(
    bytes: Uint8Array,
    held?: (name: string) => T | undefined,
  ): Generator<undefined, DecodedResource<T>, undefined> {
    const name = readName(bytes)
    const problems = Problems.of(`${schema.name} ${JSON.stringify(name)}`)
    try {
      const value = yield* read(bytes, problems, held?.(name))
      return { name, decoded: toDecoded(value, problems) }
    } catch (error) {
      problems.add(`cannot be parsed: ${error instanceof Error ? error.message : String(error)}`)
      return { name, decoded: { ok: false, errors: problems.found } }
    }
  }
  return {
    kind: schema.name,
    typeUrl: typeUrlOf(schema),
    decodeInSlices,
    decode(bytes) {
      const slices = decodeInSlices(bytes)
      for (;;) {
        const slice = slices.next()
        if (slice.done === true) return slice.value
      }
    },
  }
}

function parse<M extends Message>(schema: MessageType<M>, bytes: Uint8Array, problems: Problems): M | undefined {
  try {
    return schema.decode(bytes)
  } catch (error) {
    problems.add(`cannot be parsed: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

function toDecoded<T>(value: T | undefined, problems: Problems): Decoded<T> {
  if (value !== undefined && problems.found.length === 0) return { ok: true, value }
  return { ok: false, errors: problems.found }
}

/** Field 1 of every resource is its name; it is read by itself so that a refusal can be told from a missing resource. */
function readName(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes)
  let name = ''
  try {
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      if (field !== 1 || type !== WireType.LengthDelimited) {
        reader.skip(type, field)
        continue
      }
      name = reader.string()
    }
  } catch {
    // What was read so far is the best there is.
  }
  return name
}
