import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf'
import { type Any, anyPack } from '@bufbuild/protobuf/wkt'
import { ApiVersion, type ConfigSourceSchema } from 'inmesh/gen/envoy/config/core/v3/config_source_pb'

/** The stream on which the referring resource came. */
export const ads: MessageInitShape<typeof ConfigSourceSchema> = {
  configSourceSpecifier: { case: 'ads', value: {} },
  resourceApiVersion: ApiVersion.V3,
}

/** The server from which the referring resource came. */
export const self: MessageInitShape<typeof ConfigSourceSchema> = {
  configSourceSpecifier: { case: 'self', value: {} },
  resourceApiVersion: ApiVersion.V3,
}

/** Makes a message and packs it. */
export const pack = <Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any =>
  anyPack(schema, create(schema, init))
