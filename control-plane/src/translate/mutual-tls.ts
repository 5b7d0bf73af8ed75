import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { type Any, AnySchema, anyPack } from '@bufbuild/protobuf/wkt'
import type { Cluster_TransportSocketMatchSchema } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import type { TransportSocketSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { TlsParameters_TlsProtocol as TlsProtocol } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/common_pb'
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb'
import type { MeshService } from '../model/mesh-service.ts'
import { ads } from './config-source.ts'
import { subjectAltNames } from './subject-alt-names.ts'
import type { View } from './view.ts'

type Socket = MessageInitShape<typeof TransportSocketSchema>
type CommonTls = MessageInitShape<typeof CommonTlsContextSchema>

/** The name of the identity that workloads have, in their bootstrap and in the secrets of Istio's agent. */
const identity = 'default'
const roots = 'ROOTCA'
/** The metadata of endpoints that take mutual TLS, as in Istio. */
export const tlsModeLabel = 'tlsMode'
export const mutualTlsMode = 'istio'

/** A message without fields, whose type the generated code lacks. */
const rawBuffer = 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'

/** Who answers for a service: the workloads that run under its name or under an account of theirs, and who a rule or an entry names. */
export function identitiesOf(service: MeshService, trustDomain: string): readonly string[] {
  const name = service.name === service.host ? (service.host.split('.')[0] ?? '') : service.name
  const accounts = new Set([name, ...service.serviceAccounts])
  const ids = Array.from(accounts, account => `spiffe://${trustDomain}/ns/${service.namespace}/sa/${account}`)
  return [...ids, ...service.subjectAltNames]
}

/** Mutual TLS with the workload's identity, to peers with one of the names. */
export function mutualTlsSocket(names: readonly string[], alpn: readonly string[], sni: string, view: View): Socket {
  return tlsSocket(
    anyPack(
      UpstreamTlsContextSchema,
      create(UpstreamTlsContextSchema, { sni, commonTlsContext: { ...common(names, view), alpnProtocols: [...alpn] } }),
    ),
  )
}

/** Mutual TLS on the side of the server: nobody without a certificate of the mesh. */
export function serverTlsSocket(view: View): Socket {
  return tlsSocket(
    anyPack(
      DownstreamTlsContextSchema,
      create(DownstreamTlsContextSchema, { requireClientCertificate: true, commonTlsContext: common([], view) }),
    ),
  )
}

/** Mutual TLS to the endpoints that take it, and plain text to the others. */
export function meshSockets(socket: Socket): readonly MessageInitShape<typeof Cluster_TransportSocketMatchSchema>[] {
  return [
    { name: 'tlsMode-istio', match: { [tlsModeLabel]: mutualTlsMode }, transportSocket: socket },
    {
      name: 'tlsMode-disabled',
      match: {},
      transportSocket: {
        name: 'envoy.transport_sockets.raw_buffer',
        configType: { case: 'typedConfig', value: create(AnySchema, { typeUrl: rawBuffer }) },
      },
    },
  ]
}

/** Processes have their identity themselves; a proxy fetches it as a secret. */
function common(names: readonly string[], view: View): CommonTls {
  const expected = subjectAltNames(names, view)
  if (view.kind === 'proxyless')
    return {
      tlsCertificateProviderInstance: { instanceName: identity },
      validationContextType: {
        case: 'validationContext',
        value: { ...expected, caCertificateProviderInstance: { instanceName: identity } },
      },
    }
  return {
    // Left to itself, Envoy goes no further than 1.2 as a client.
    tlsParams: { tlsMinimumProtocolVersion: TlsProtocol.TLSv1_2, tlsMaximumProtocolVersion: TlsProtocol.TLSv1_3 },
    tlsCertificateSdsSecretConfigs: [{ name: identity, sdsConfig: ads }],
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: expected,
        validationContextSdsSecretConfig: { name: roots, sdsConfig: ads },
      },
    },
  }
}

function tlsSocket(value: Any): Socket {
  return { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value } }
}
