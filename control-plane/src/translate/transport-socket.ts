import type { MessageInitShape } from '@bufbuild/protobuf'
import type { TransportSocketSchema } from 'inmesh/gen/envoy/config/core/v3/base_pb'
import type { CertificateValidationContextSchema } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/common_pb'
import { UpstreamTlsContextSchema } from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb'
import { type ClientTls, maxSniBytes } from '../model/destination-rule.ts'
import type { MeshPort, MeshService } from '../model/mesh-service.ts'
import { pack } from './config-source.ts'
import { identitiesOf, meshSockets, mutualTlsSocket } from './mutual-tls.ts'
import { subjectAltNames } from './subject-alt-names.ts'
import type { View } from './view.ts'

/** Where the usual systems keep their roots. Envoy has no notion of them and would verify nothing. */
const systemRoots = '/etc/ssl/certs/ca-certificates.crt'

/** `upstream_http_protocol_options` of a cluster whose peers are asked for by the name that is called. */
export interface AutomaticTls {
  readonly autoSni: true
  /** The peer must be who is called. */
  readonly autoSanValidation: boolean
}

/** Of a service that has no one name, as in Istio; `undefined` where the TLS context says everything. */
export function automaticTls(tls: ClientTls | undefined, service: MeshService): AutomaticTls | undefined {
  if (tls?.mode !== 'simple' || tls.sni !== '' || sniOf(service) !== '') return undefined
  return { autoSni: true, autoSanValidation: tls.subjectAltNames.length + service.subjectAltNames.length === 0 }
}

/**
 * The socket of a cluster; `undefined` for plain text. Without `sni` the peer is asked for by the host of the service, and without names of
 * the rule or of the ServiceEntry it must be who is asked for.
 */
export function transportSocket(
  tls: ClientTls | undefined,
  service: MeshService,
  port: MeshPort,
  view: View,
  trustDomain: string,
): MessageInitShape<typeof TransportSocketSchema> | undefined {
  const { protocol } = port
  if (tls?.mode === 'mesh') {
    const names = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : identitiesOf(service, trustDomain)
    return mutualTlsSocket(names, alpnOf(port), tls.sni || sniOf(service), view)
  }
  if (tls?.mode !== 'simple') return undefined
  const sni = tls.sni || sniOf(service)
  const given = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : service.subjectAltNames
  const names = given.length > 0 || sni === '' ? given : [sni]
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
              ...subjectAltNames(names, view),
            },
          },
        },
      }),
    },
  }
}

/**
 * Mutual TLS to the endpoints that take it, without a rule that says so. For those that understand it, and where the service is of the
 * mesh.
 */
export function automaticSockets(
  service: MeshService,
  port: MeshPort,
  view: View,
  trustDomain: string,
): ReturnType<typeof meshSockets> {
  const isUnderstood = view.kind === 'envoy' ? view.isIdentified : view.agent === 'inmesh'
  if (!isUnderstood || service.external || service.resolution !== 'listed') return []
  return meshSockets(mutualTlsSocket(identitiesOf(service, trustDomain), alpnOf(port), sniOf(service), view))
}

const alpnOf = ({ protocol }: MeshPort) => [protocol === 'http2' ? 'h2' : 'http/1.1']

/** Empty where the host cannot be one. */
const sniOf = ({ host }: MeshService) => (host.startsWith('*') || Buffer.byteLength(host) > maxSniBytes ? '' : host)

type Context = Exclude<MessageInitShape<typeof CertificateValidationContextSchema>, { $typeName: string }>

function trustedCa(file: string, { kind }: View): Pick<Context, 'systemRootCerts' | 'trustedCa'> {
  if (file === '' && kind === 'proxyless') return { systemRootCerts: {} }
  return { trustedCa: { specifier: { case: 'filename', value: file || systemRoots } } }
}
