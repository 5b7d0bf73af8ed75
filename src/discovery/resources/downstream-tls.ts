import type { TransportSocket } from '../gen/envoy/config/core/v3/base_pb.ts'
import type { DownstreamTlsContext } from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import { DownstreamTlsContext_OcspStaplePolicy as OcspStaplePolicy } from '../gen/tables.ts'
import { downstreamTlsContextType } from '../message-types.ts'
import type { DownstreamTls } from '../model/inbound-listener.ts'
import { readTypedConfig } from './any.ts'
import type { Problems } from './problems.ts'
import { decodeCertificate, decodeTlsVersions, decodeValidation, refuseUnsupported } from './tls-context.ts'
import { isPlain } from './upstream-tls.ts'

/**
 * Decodes the `transport_socket` of a filter chain: `DownstreamTlsContext`, or `undefined` for plain text. What cannot be honoured in full
 * is an error (gRFC A29), for a server that asks less of its clients than it was told is open.
 */
export function decodeDownstreamTls(socket: TransportSocket | undefined, problems: Problems): DownstreamTls | undefined {
  if (socket === undefined) return undefined
  const typed = readTypedConfig(socket.configType.value)
  if (isPlain(socket, typed)) return undefined
  if (typed.type !== downstreamTlsContextType.typeName) {
    problems.add(`"${typed.type === '' ? socket.name : typed.type}" is not supported`)
    return undefined
  }
  const context = typed.as(downstreamTlsContextType, problems)
  return context && decodeContext(context, problems)
}

function decodeContext(context: DownstreamTlsContext, problems: Problems): DownstreamTls | undefined {
  const { commonTlsContext: common, requireSni, ocspStaplePolicy } = context
  const requiresClientCertificate = context.requireClientCertificate ?? false
  const at = problems.at('common_tls_context')
  if (requireSni === true) problems.addAt('require_sni', 'is not supported')
  if (ocspStaplePolicy !== OcspStaplePolicy.LENIENT_STAPLING)
    problems.addAt('ocsp_staple_policy', 'must be LENIENT_STAPLING: nothing else is supported')
  if (common === undefined) {
    at.add('is required')
    return undefined
  }
  refuseUnsupported(common, at)
  const certificate = decodeCertificate(common, at)
  if (certificate === undefined) at.add('a server needs a certificate: tls_certificates or tls_certificate_provider_instance')
  const validation = decodeValidation(common, at)
  if (requiresClientCertificate && validation === undefined)
    problems.addAt('require_client_certificate', 'needs a validation context: nobody could be verified')
  if (validation?.trust.kind === 'system')
    at.addAt('validation_context', 'must name its roots: everybody with a public certificate would be let in')
  if (certificate === undefined) return undefined
  return {
    certificate,
    trust: validation?.trust,
    requiresClientCertificate,
    subjectAltNames: validation?.subjectAltNames ?? [],
    ...decodeTlsVersions(common.tlsParams, at.at('tls_params')),
  }
}
