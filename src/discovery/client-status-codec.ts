import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { ClientStatus, ClientStatusScope, TypedResourceDump } from './client-status.ts'
import { nodeMessage } from './discovery-codec.ts'
import type { ClientResourceStatus } from './gen/envoy/admin/v3/config_dump_shared_pb.ts'
import {
  type ClientConfig_GenericXdsConfigSchema,
  type ClientConfigSchema,
  ClientStatusRequestSchema,
  ClientStatusResponseSchema,
} from './gen/envoy/service/status/v3/csds_pb.ts'
import { withoutSecrets } from './redaction.ts'
import type { ResourceStatus } from './resource-status.ts'
import type { XdsNode } from './xds-node.ts'

/** `envoy.service.status.v3.ClientStatusRequest`. */
export interface ClientStatusRequest {
  /** Whether it asks for some nodes only, which is for a control plane to answer. */
  readonly matchesNodes: boolean
  /** Whether the resources themselves are left out. */
  readonly excludesContents: boolean
}

/** `ClientResourceStatus`; the last two (gRFC A88) are newer than the generated type. */
const statusNumbers: Readonly<Record<ResourceStatus, number>> = {
  requested: 1,
  'does-not-exist': 2,
  acked: 3,
  nacked: 4,
  'received-error': 5,
  timeout: 6,
}

/**
 * A request off the wire.
 *
 * @throws Error when it cannot be parsed
 */
export function decodeClientStatusRequest(bytes: Uint8Array): ClientStatusRequest {
  const { nodeMatchers, excludeResourceContents } = fromBinary(ClientStatusRequestSchema, bytes)
  return { matchesNodes: nodeMatchers.length > 0, excludesContents: excludeResourceContents }
}

/** A `ClientStatusResponse` on the wire: a `ClientConfig` for each user of the configuration, without any secret. */
export function encodeClientStatus(status: ClientStatus | undefined, { excludesContents }: ClientStatusRequest): Uint8Array {
  const config = status?.scopes.map(scope => clientConfig(status.node, scope, excludesContents)) ?? []
  return toBinary(ClientStatusResponseSchema, create(ClientStatusResponseSchema, { config }))
}

function clientConfig(
  node: XdsNode,
  { scope, resources }: ClientStatusScope,
  excludesContents: boolean,
): MessageInitShape<typeof ClientConfigSchema> {
  return {
    node: nodeMessage(node),
    clientScope: scope,
    genericXdsConfigs: resources.map(resource => genericConfig(resource, excludesContents)),
  }
}

function genericConfig(
  { typeUrl, name, status, held, updatedAt, failure }: TypedResourceDump,
  excludesContents: boolean,
): MessageInitShape<typeof ClientConfig_GenericXdsConfigSchema> {
  const value = held === undefined || excludesContents ? undefined : withoutSecrets(typeUrl, held.bytes)
  return {
    typeUrl,
    name,
    // Enums of proto3 are open, and generated ones are not.
    clientStatus: statusNumbers[status] as ClientResourceStatus,
    ...(held === undefined ? {} : { versionInfo: held.version }),
    ...(value === undefined ? {} : { xdsConfig: { typeUrl, value } }),
    ...(updatedAt === undefined ? {} : { lastUpdated: timestampFromMs(updatedAt) }),
    ...(failure === undefined
      ? {}
      : {
          errorState: {
            versionInfo: failure.version,
            details: failure.details,
            ...(failure.at === undefined ? {} : { lastUpdateAttempt: timestampFromMs(failure.at) }),
          },
        }),
  }
}
