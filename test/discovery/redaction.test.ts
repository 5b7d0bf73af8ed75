import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { type Any, anyPack } from '@bufbuild/protobuf/wkt'
import { type Cluster, ClusterSchema } from '../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { ListenerSchema } from '../../src/discovery/gen/envoy/config/listener/v3/listener_pb.ts'
import type { CommonTlsContextSchema } from '../../src/discovery/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../../src/discovery/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import { TypedStructSchema } from '../../src/discovery/gen/xds/type/v3/typed_struct_pb.ts'
import { withoutSecrets } from '../../src/discovery/redaction.ts'
import { typeUrls } from '../../src/discovery/resource-type.ts'
import { clusterMessage } from '../support/xds-resources.ts'

const inline = (value: string) => ({ specifier: { case: 'inlineString', value } }) as const
const secret = 'c2VjcmV0'

const tls: MessageInitShape<typeof CommonTlsContextSchema> = {
  tlsCertificates: [{ certificateChain: inline('the chain'), privateKey: inline(secret), password: inline(secret) }],
}

const withSocket = (value: Any): Cluster => {
  const cluster = clusterMessage('c')
  cluster.transportSocket = {
    $typeName: 'envoy.config.core.v3.TransportSocket',
    name: 'tls',
    configType: { case: 'typedConfig', value },
  }
  return cluster
}

const clean = (cluster: Cluster) => withoutSecrets(typeUrls.cluster, toBinary(ClusterSchema, cluster))
const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1')

test('the key and the password of a cluster go, all else stays', () => {
  const bytes = clean(
    withSocket(anyPack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema, { sni: 'a', commonTlsContext: tls }))),
  )
  assert.ok(bytes)
  assert.ok(!textOf(bytes).includes(secret))
  const { transportSocket } = fromBinary(ClusterSchema, bytes)
  const config = transportSocket?.configType.value
  const context = config && fromBinary(UpstreamTlsContextSchema, config.value)
  const [certificate] = context?.commonTlsContext?.tlsCertificates ?? []
  assert.equal(context?.sni, 'a')
  assert.equal(certificate?.certificateChain?.specifier.value, 'the chain')
  assert.equal(certificate?.privateKey?.specifier.value, '[redacted]')
  assert.equal(certificate?.password?.specifier.value, '[redacted]')
})

test('the keys of a listener go, of session tickets too', () => {
  const context = create(DownstreamTlsContextSchema, {
    commonTlsContext: tls,
    sessionTicketKeysType: {
      case: 'sessionTicketKeys',
      value: { keys: [{ specifier: { case: 'inlineBytes', value: Buffer.from(secret) } }] },
    },
  })
  const typedConfig = { case: 'typedConfig', value: anyPack(DownstreamTlsContextSchema, context) } as const
  const listener = create(ListenerSchema, {
    name: 'l',
    filterChains: [{ transportSocket: { name: 'tls', configType: typedConfig } }],
  })
  const bytes = withoutSecrets(typeUrls.listener, toBinary(ListenerSchema, listener))
  assert.ok(bytes)
  assert.ok(!textOf(bytes).includes(secret))
  assert.equal(textOf(bytes).split('[redacted]').length, 4)
})

test('a key in the JSON of a TypedStruct goes', () => {
  const struct = create(TypedStructSchema, {
    typeUrl: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    value: { common_tls_context: { tls_certificates: [{ private_key: { inline_string: secret } }] } },
  })
  const bytes = clean(withSocket(anyPack(TypedStructSchema, struct)))
  assert.ok(bytes)
  assert.ok(!textOf(bytes).includes(secret))
  assert.ok(textOf(bytes).includes('[redacted]'))
})

test('the place where a key is kept is no secret', () => {
  const privateKey = { specifier: { case: 'filename', value: '/etc/key.pem' } } as const
  const kept: MessageInitShape<typeof CommonTlsContextSchema> = { tlsCertificates: [{ privateKey }] }
  const cluster = withSocket(anyPack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema, { commonTlsContext: kept })))
  assert.ok(textOf(clean(cluster)).includes('/etc/key.pem'))
})

test('a resource without a secret is the very bytes that came', () => {
  const bytes = toBinary(ClusterSchema, clusterMessage('c'))
  assert.equal(withoutSecrets(typeUrls.cluster, bytes), bytes)
  assert.equal(withoutSecrets(typeUrls.clusterLoadAssignment, bytes), bytes)
})

test('a key that stands where none is known costs the whole resource', () => {
  const pem = ['-----BEGIN', 'PRIVATE KEY-----'].join(' ')
  for (const text of [pem, '{"kty":"oct","k":"AyM1"}', '{\\"kty\\":\\"EC\\",\\"d\\":\\"x\\"}']) {
    const cluster = clusterMessage('c')
    cluster.altStatName = text
    assert.equal(clean(cluster), undefined, text)
  }
})

test('a resource that cannot be read is not told', () => {
  assert.equal(withoutSecrets(typeUrls.cluster, Buffer.from('transport_sockets')), undefined)
})
