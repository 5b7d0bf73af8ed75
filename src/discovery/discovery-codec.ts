import type { MessageInitShape, UnknownField } from '@bufbuild/protobuf'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import type { AdsRequest, AdsResponse, WireResource, WireResourceError, XdsProtocol } from './discovery-message.ts'
import type { NodeSchema } from './gen/envoy/config/core/v3/base_pb.ts'
import {
  deltaDiscoveryRequestType,
  deltaDiscoveryResponseType,
  discoveryRequestType,
  discoveryResponseType,
} from './message-types.ts'
import { unwrapAny } from './resources/decode.ts'
import type { XdsNode } from './xds-node.ts'

/** INVALID_ARGUMENT: what a NACK says, as C-core and Go do. */
const invalidArgument = 3
/** `DiscoveryResponse.resource_errors` and `DeltaDiscoveryResponse.resource_errors`, newer than the generated types. */
const resourceErrorsField = { sotw: 7, delta: 9 } as const

/** A request on the wire; with the node when it is the first of its stream. */
export function encodeRequest(request: AdsRequest, node: XdsNode | undefined): Uint8Array {
  const { typeUrl, nonce: responseNonce, refusal } = request
  const shared = {
    ...(node ? { node: nodeMessage(node) } : {}),
    ...(refusal === undefined ? {} : { errorDetail: { code: invalidArgument, message: refusal } }),
    typeUrl,
    responseNonce,
  }
  if (request.protocol === 'sotw') {
    const { version: versionInfo, names } = request
    return discoveryRequestType.encode({ ...shared, versionInfo, resourceNames: [...names] })
  }
  const { subscribe, unsubscribe, initialVersions } = request
  return deltaDiscoveryRequestType.encode({
    ...shared,
    resourceNamesSubscribe: [...subscribe],
    resourceNamesUnsubscribe: [...unsubscribe],
    initialResourceVersions: { ...initialVersions },
  })
}

/**
 * A response off the wire, every resource out of its wrapper.
 *
 * @throws Error when it cannot be parsed
 */
export function decodeResponse(protocol: XdsProtocol, bytes: Uint8Array): AdsResponse {
  return protocol === 'sotw' ? decodeSotw(bytes) : decodeDelta(bytes)
}

function decodeSotw(bytes: Uint8Array): AdsResponse {
  const { typeUrl, versionInfo, nonce, resources, $unknown } = discoveryResponseType.decode(bytes)
  return {
    typeUrl,
    version: versionInfo,
    nonce,
    resources: resources.map(any => {
      const inner = unwrapAny(any)
      return { name: inner.name ?? '', version: inner.version ?? versionInfo, typeUrl: inner.typeUrl, bytes: inner.value }
    }),
    removed: [],
    errors: readResourceErrors($unknown, resourceErrorsField.sotw),
  }
}

function decodeDelta(bytes: Uint8Array): AdsResponse {
  const message = deltaDiscoveryResponseType.decode(bytes)
  const resources: WireResource[] = []
  for (const { name, resourceName, version, resource } of message.resources) {
    // One without a body is a heartbeat of a TTL, which is not asked for.
    if (!resource) continue
    resources.push({ name: name || resourceName?.name || '', version, typeUrl: resource.typeUrl, bytes: resource.value })
  }
  return {
    typeUrl: message.typeUrl,
    version: message.systemVersionInfo,
    nonce: message.nonce,
    resources,
    removed: [...message.removedResources, ...message.removedResourceNames.map(({ name }) => name)],
    errors: readResourceErrors(message.$unknown, resourceErrorsField.delta),
  }
}

/** `envoy.config.core.v3.Node`. */
export function nodeMessage(node: XdsNode): MessageInitShape<typeof NodeSchema> {
  const { id, cluster, locality, metadata, userAgentName, userAgentVersion, clientFeatures } = node
  const hasLocality = locality.region !== '' || locality.zone !== '' || locality.subZone !== ''
  return {
    id,
    cluster,
    metadata,
    ...(hasLocality ? { locality: { ...locality } } : {}),
    userAgentName,
    userAgentVersionType: { case: 'userAgentVersion', value: userAgentVersion },
    clientFeatures: [...clientFeatures],
  }
}

/** `ResourceError`: `resource_name` (1, a `ResourceName` whose field 1 is the name) and `error_detail` (2, a `google.rpc.Status`). */
function readResourceErrors(unknown: readonly UnknownField[] | undefined, field: number): WireResourceError[] {
  const errors: WireResourceError[] = []
  for (const { no, data } of unknown ?? []) {
    if (no !== field) continue
    const error = { name: '', code: 0, message: '' }
    // The data of an unknown field begins with its length.
    readFields(new BinaryReader(data).bytes(), (number, reader) => {
      if (number === 1) {
        readFields(reader.bytes(), (inner, nested) => {
          if (inner !== 1) return false
          error.name = nested.string()
          return true
        })
        return true
      }
      if (number !== 2) return false
      readFields(reader.bytes(), (inner, nested) => {
        if (inner === 1) error.code = nested.int32()
        else if (inner === 2) error.message = nested.string()
        else return false
        return true
      })
      return true
    })
    errors.push(error)
  }
  return errors
}

/** @param read takes a field, or returns false to have it skipped */
function readFields(bytes: Uint8Array, read: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (!read(field, reader)) reader.skip(type, field)
  }
}
