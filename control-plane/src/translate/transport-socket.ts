import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { TransportSocketSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcher,
  SubjectAltNameMatcherSchema,
} from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/common_pb'
import { UpstreamTlsContextSchema } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb'
import type { ClientTls } from '../model/destination-rule.ts'
import type { MeshPort, MeshService } from '../model/mesh-service.ts'
import { pack } from './config-source.ts'
import type { View } from './view.ts'

/** Where the usual systems keep their roots. Envoy has no notion of them and would verify nothing. */
const systemRoots = '/etc/ssl/certs/ca-certificates.crt'

/** The socket of a cluster; `undefined` for plain text. Without `sni` the peer is asked for, and must be, the host of the service. */
export function transportSocket(
  tls: ClientTls | undefined,
  { host }: MeshService,
  { protocol }: MeshPort,
  view: View,
): MessageInitShape<typeof TransportSocketSchema> | undefined {
  if (tls?.mode !== 'simple') return undefined
  const sni = tls.sni || (host.startsWith('*') ? '' : host)
  const names = tls.subjectAltNames.length > 0 || sni === '' ? tls.subjectAltNames : [sni]
  return {
    name: 'envoy.transport_sockets.tls',
    configType: {
      case: 'typedConfig',
      value: pack(UpstreamTlsContextSchema, {
        sni,
        commonTlsContext: {
          alpnProtocols: [protocol === 'http2' ? 'h2' : 'http/1.1'],
          validationContextType: {
            case: 'validationContext',
            value: {
              ...trustedCa(tls.caCertificates, view),
              matchTypedSubjectAltNames: names.map(subjectAltName),
            },
          },
        },
      }),
    },
  }
}

function trustedCa(file: string, { kind }: View): MessageInitShape<typeof CertificateValidationContextSchema> {
  if (file === '' && kind === 'proxyless') return { systemRootCerts: {} }
  return { trustedCa: { specifier: { case: 'filename', value: file || systemRoots } } }
}

const subjectAltName = (name: string): SubjectAltNameMatcher =>
  create(SubjectAltNameMatcherSchema, {
    sanType: name.includes('://') ? SanType.URI : SanType.DNS,
    matcher: { matchPattern: { case: 'exact', value: name } },
  })
