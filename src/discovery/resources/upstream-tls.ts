import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import type { TransportSocket } from '../gen/envoy/config/core/v3/base_pb.ts'
import {
  type CertificateValidationContext,
  SubjectAltNameMatcher_SanType as SanType,
  type TlsParameters,
  TlsParameters_TlsProtocol as TlsProtocol,
} from '../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts'
import {
  type CommonTlsContext,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import type { UpstreamTls } from '../model/cluster.ts'
import { readTypedConfig } from './any.ts'
import { readDataSource } from './data-source.ts'
import type { Problems } from './problems.ts'

const rawBuffer = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'

/**
 * Decodes how a cluster is spoken to: in plain text (`undefined`) or over TLS. A TLS context that cannot be honoured in full is
 * an error, never a weaker connection.
 *
 * `transport_socket_matches` lets each endpoint choose by its metadata. Istio's automatic mutual TLS is such a list:
 * `tlsMode: istio` picks TLS, everything else the plain socket at the end. This client holds no certificate of the mesh, so
 * with such a list it takes the entry without criteria, which is what an endpoint without that label gets; an endpoint that
 * insists on mutual TLS refuses the connection. A list without such an entry falls back on `transport_socket`.
 */
export function decodeUpstreamTls(message: Cluster, problems: Problems): UpstreamTls | undefined {
  for (const [index, { match, transportSocket }] of message.transportSocketMatches.entries()) {
    if (match !== undefined && Object.keys(match).length > 0) continue
    const at = problems.at('transport_socket_matches', index).at('transport_socket')
    return transportSocket === undefined ? undefined : decodeTransportSocket(transportSocket, at)
  }
  if (message.transportSocket === undefined) return undefined
  return decodeTransportSocket(message.transportSocket, problems.at('transport_socket'))
}

function decodeTransportSocket(socket: TransportSocket, problems: Problems): UpstreamTls | undefined {
  const typed = readTypedConfig(socket.configType.value)
  if (typed.type === rawBuffer || (typed.type === '' && socket.name === 'envoy.transport_sockets.raw_buffer')) return undefined
  if (typed.type !== UpstreamTlsContextSchema.typeName) {
    problems.add(`"${typed.type === '' ? socket.name : typed.type}" is not supported`)
    return undefined
  }
  const context = typed.as(UpstreamTlsContextSchema, problems)
  return context && decodeUpstreamTlsContext(context, problems)
}

function decodeUpstreamTlsContext(context: UpstreamTlsContext, problems: Problems): UpstreamTls | undefined {
  const common = context.commonTlsContext
  const at = problems.at('common_tls_context')
  if (common === undefined) {
    // Envoy then verifies nothing.
    problems.addAt('common_tls_context', 'is required: without a validation context the peer would not be verified')
    return undefined
  }
  refuseUnsupported(common, at)
  const validation = decodeValidation(common, at)
  return {
    sni: context.sni,
    trustedCa: validation.trustedCa,
    subjectAltNames: validation.subjectAltNames,
    alpnProtocols: common.alpnProtocols,
  }
}

/** What a client certificate or a hand-made handshake would need. */
function refuseUnsupported(common: CommonTlsContext, problems: Problems): void {
  const unsupported: readonly (readonly [string, boolean])[] = [
    ['tls_certificates', common.tlsCertificates.length > 0],
    ['tls_certificate_sds_secret_configs', common.tlsCertificateSdsSecretConfigs.length > 0],
    ['tls_certificate_provider_instance', common.tlsCertificateProviderInstance !== undefined],
    ['tls_certificate_certificate_provider', common.tlsCertificateCertificateProvider !== undefined],
    ['tls_certificate_certificate_provider_instance', common.tlsCertificateCertificateProviderInstance !== undefined],
    ['custom_handshaker', common.customHandshaker !== undefined],
    ['tls_params', !isNodeDefault(common.tlsParams)],
  ]
  for (const [field, given] of unsupported) {
    if (given) problems.addAt(field, 'is not supported: mutual TLS and handshake settings are not to be had yet')
  }
}

/** Node speaks TLS 1.2 and 1.3: a floor at or below 1.2 is met, any other wish is not. */
function isNodeDefault(params: TlsParameters | undefined): boolean {
  if (params === undefined) return true
  const { tlsMinimumProtocolVersion: minimum, tlsMaximumProtocolVersion: maximum } = params
  const lists = params.cipherSuites.length + params.ecdhCurves.length + params.signatureAlgorithms.length
  return minimum <= TlsProtocol.TLSv1_2 && (maximum === TlsProtocol.TLS_AUTO || maximum === TlsProtocol.TLSv1_3) && lists === 0
}

interface Validation {
  readonly trustedCa: string | undefined
  readonly subjectAltNames: readonly string[]
}

const nothing: Validation = { trustedCa: undefined, subjectAltNames: [] }

function decodeValidation({ validationContextType }: CommonTlsContext, problems: Problems): Validation {
  switch (validationContextType.case) {
    case 'validationContext':
      return decodeValidationContext(validationContextType.value, problems.at('validation_context'))
    case 'combinedValidationContext': {
      const at = problems.at('combined_validation_context')
      const { defaultValidationContext, validationContextSdsSecretConfig } = validationContextType.value
      if (validationContextSdsSecretConfig !== undefined)
        at.addAt(
          'validation_context_sds_secret_config',
          `"${validationContextSdsSecretConfig.name}" cannot be fetched: SDS is not supported`,
        )
      if (defaultValidationContext === undefined) return nothing
      return decodeValidationContext(defaultValidationContext, at.at('default_validation_context'), true)
    }
    case 'validationContextSdsSecretConfig': {
      const { name } = validationContextType.value
      problems.addAt('validation_context_sds_secret_config', `"${name}" cannot be fetched: SDS is not supported`)
      return nothing
    }
    case undefined:
      problems.addAt('validation_context', 'is required: the peer would not be verified')
      return nothing
    default:
      problems.addAt(validationContextType.case, 'is not supported')
      return nothing
  }
}

function decodeValidationContext(message: CertificateValidationContext, problems: Problems, combined = false): Validation {
  const unsupported: readonly (readonly [string, boolean])[] = [
    ['ca_certificate_provider_instance', message.caCertificateProviderInstance !== undefined],
    ['verify_certificate_spki', message.verifyCertificateSpki.length > 0],
    ['verify_certificate_hash', message.verifyCertificateHash.length > 0],
    ['crl', message.crl !== undefined],
    ['custom_validator_config', message.customValidatorConfig !== undefined],
    ['require_signed_certificate_timestamp', message.requireSignedCertificateTimestamp === true],
    ['allow_expired_certificate', message.allowExpiredCertificate],
    ['trust_chain_verification', message.trustChainVerification !== 0],
  ]
  for (const [field, given] of unsupported) if (given) problems.addAt(field, 'is not supported')
  const { trustedCa, systemRootCerts } = message
  if (trustedCa === undefined && systemRootCerts === undefined && !combined)
    problems.addAt('trusted_ca', 'is required, or system_root_certs: the peer would not be verified')
  return {
    trustedCa: trustedCa === undefined ? undefined : readDataSource(trustedCa, problems.at('trusted_ca')),
    subjectAltNames: decodeSubjectAltNames(message, problems),
  }
}

function decodeSubjectAltNames(message: CertificateValidationContext, problems: Problems): readonly string[] {
  const names: string[] = []
  message.matchTypedSubjectAltNames.forEach(({ sanType, matcher }, index) => {
    const at = problems.at('match_typed_subject_alt_names', index)
    if (sanType !== SanType.DNS && sanType !== SanType.URI) at.addAt('san_type', `must be DNS or URI, got ${sanType}`)
    if (matcher?.matchPattern.case === 'exact') names.push(matcher.matchPattern.value)
    else at.addAt('matcher', `must be exact, got ${matcher?.matchPattern.case ?? 'nothing'}`)
  })
  message.matchSubjectAltNames.forEach(({ matchPattern }, index) => {
    if (matchPattern.case === 'exact') names.push(matchPattern.value)
    else problems.at('match_subject_alt_names', index).add(`must be exact, got ${matchPattern.case ?? 'nothing'}`)
  })
  return names
}
