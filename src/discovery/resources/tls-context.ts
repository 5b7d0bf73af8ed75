import type { DataSource } from '../gen/envoy/config/core/v3/base_pb.ts'
import type {
  CertificateValidationContext,
  SubjectAltNameMatcher as SanMatcherMessage,
  TlsParameters,
} from '../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts'
import type { CommonTlsContext } from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import { SubjectAltNameMatcher_SanType as SanType, TlsParameters_TlsProtocol as TlsProtocol } from '../gen/tables.ts'
import {
  type CertificateSource,
  PrivateKeyText,
  type SubjectAltNameMatcher,
  type TlsVersion,
  type TrustSource,
  workloadIdentity,
} from '../model/tls.ts'
import { readDataSource } from './data-source.ts'
import type { Problems } from './problems.ts'
import { decodeStringMatcher } from './string-matcher.ts'

/** The secrets of Istio's agent, which stand for the workload's own identity and the roots of its mesh. */
const identitySecret = 'default'
const rootsSecret = 'ROOTCA'

/** Whom to trust, and under which names. */
export interface Validation {
  readonly trust: TrustSource
  readonly subjectAltNames: readonly SubjectAltNameMatcher[]
}

/** Reports what `CommonTlsContext` asks for and nobody here does. */
export function refuseUnsupported(common: CommonTlsContext, problems: Problems): void {
  const unsupported: readonly (readonly [string, boolean])[] = [
    ['tls_certificate_certificate_provider', common.tlsCertificateCertificateProvider !== undefined],
    ['custom_handshaker', common.customHandshaker !== undefined],
  ]
  for (const [field, given] of unsupported) if (given) problems.addAt(field, 'is not supported')
}

/**
 * Decodes the own certificate; `undefined` where there is none. One of a provider's wins over those given here, and they over secrets; of several
 * none could be chosen for the peer.
 */
export function decodeCertificate(common: CommonTlsContext, problems: Problems): CertificateSource | undefined {
  const { tlsCertificateSdsSecretConfigs: secrets, tlsCertificates } = common
  // The deprecated one is what Istio writes for clients of gRPC.
  const instance = common.tlsCertificateProviderInstance ?? common.tlsCertificateCertificateProviderInstance
  if (instance !== undefined) return { kind: 'provider', instance: instance.instanceName || workloadIdentity }
  const [secret] = secrets
  const [certificate] = tlsCertificates
  if (tlsCertificates.length > 1) problems.addAt('tls_certificates', `must be one, got ${tlsCertificates.length}`)
  if (certificate === undefined) {
    if (secret === undefined) return undefined
    if (secrets.length > 1) problems.addAt('tls_certificate_sds_secret_configs', `must be one, got ${secrets.length}`)
    const at = problems.at('tls_certificate_sds_secret_configs', 0)
    if (secret.name !== identitySecret) at.addAt('name', `"${secret.name}" cannot be fetched: only "${identitySecret}" is known`)
    return { kind: 'provider', instance: workloadIdentity }
  }
  const at = problems.at('tls_certificates', 0)
  const { certificateChain, privateKey } = certificate
  for (const field of ['pkcs12', 'password'] as const) if (certificate[field] !== undefined) at.addAt(field, 'is not supported')
  if (certificate.privateKeyProvider !== undefined) at.addAt('private_key_provider', 'is not supported')
  if (certificateChain === undefined) at.addAt('certificate_chain', 'is required')
  if (privateKey === undefined) at.addAt('private_key', 'is required')
  if (certificateChain === undefined || privateKey === undefined) return undefined
  return {
    kind: 'inline',
    certificateChain: readDataSource(certificateChain, at.at('certificate_chain')),
    privateKey: new PrivateKeyText(readDataSource(privateKey, at.at('private_key'))),
  }
}

/** Decodes how the peer is verified; `undefined` where nothing says so. */
export function decodeValidation({ validationContextType }: CommonTlsContext, problems: Problems): Validation | undefined {
  switch (validationContextType.case) {
    case 'validationContext':
      return decodeValidationContext(validationContextType.value, undefined, problems.at('validation_context'))
    case 'combinedValidationContext': {
      const at = problems.at('combined_validation_context')
      const { defaultValidationContext, validationContextSdsSecretConfig, validationContextCertificateProviderInstance } =
        validationContextType.value
      const named = validationContextSdsSecretConfig
        ? rootsOf(validationContextSdsSecretConfig.name, at.at('validation_context_sds_secret_config'))
        : validationContextCertificateProviderInstance && providerOf(validationContextCertificateProviderInstance.instanceName)
      if (defaultValidationContext === undefined) {
        if (named === undefined) at.addAt('default_validation_context', 'is required')
        return named && { trust: named, subjectAltNames: [] }
      }
      return decodeValidationContext(defaultValidationContext, named, at.at('default_validation_context'))
    }
    case 'validationContextSdsSecretConfig': {
      const trust = rootsOf(validationContextType.value.name, problems.at('validation_context_sds_secret_config'))
      return { trust, subjectAltNames: [] }
    }
    case 'validationContextCertificateProviderInstance':
      return { trust: providerOf(validationContextType.value.instanceName), subjectAltNames: [] }
    case undefined:
      return undefined
    default:
      problems.addAt(validationContextType.case, 'is not supported')
      return undefined
  }
}

function rootsOf(secret: string, problems: Problems): TrustSource {
  if (secret !== rootsSecret) problems.addAt('name', `"${secret}" cannot be fetched: only "${rootsSecret}" is known`)
  return providerOf(workloadIdentity)
}

const providerOf = (instance: string): TrustSource => ({ kind: 'provider', instance: instance || workloadIdentity })

function decodeValidationContext(
  message: CertificateValidationContext,
  named: TrustSource | undefined,
  problems: Problems,
): Validation {
  const unsupported: readonly (readonly [string, boolean])[] = [
    ['verify_certificate_spki', message.verifyCertificateSpki.length > 0],
    ['verify_certificate_hash', message.verifyCertificateHash.length > 0],
    ['crl', message.crl !== undefined],
    ['custom_validator_config', message.customValidatorConfig !== undefined],
    ['require_signed_certificate_timestamp', message.requireSignedCertificateTimestamp === true],
    ['allow_expired_certificate', message.allowExpiredCertificate],
    ['trust_chain_verification', message.trustChainVerification !== 0],
    ['max_verify_depth', message.maxVerifyDepth !== undefined],
  ]
  for (const [field, given] of unsupported) if (given) problems.addAt(field, 'is not supported')
  return { trust: decodeTrust(message, named, problems), subjectAltNames: decodeSubjectAltNames(message, problems) }
}

function decodeTrust(
  { caCertificateProviderInstance, trustedCa, systemRootCerts }: CertificateValidationContext,
  named: TrustSource | undefined,
  problems: Problems,
): TrustSource {
  if (caCertificateProviderInstance !== undefined) return providerOf(caCertificateProviderInstance.instanceName)
  // What is fetched is merged over what is given, as in Envoy.
  if (named !== undefined) return named
  if (trustedCa !== undefined) return { kind: 'inline', ca: readAuthorities(trustedCa, problems.at('trusted_ca')) }
  if (systemRootCerts === undefined)
    problems.addAt('trusted_ca', 'is required, or system_root_certs: the peer would not be verified')
  return { kind: 'system' }
}

const pemCertificate = /-----BEGIN ([A-Z0-9]+ )?CERTIFICATE-----/

/** Without a certificate in it nobody could be verified. */
function readAuthorities(source: DataSource, problems: Problems): string {
  const before = problems.found.length
  const text = readDataSource(source, problems)
  if (problems.found.length === before && !pemCertificate.test(text)) problems.add('holds no certificate in PEM')
  return text
}

const sanTypes: Readonly<Record<number, SubjectAltNameMatcher['type']>> = {
  [SanType.DNS]: 'dns',
  [SanType.URI]: 'uri',
  [SanType.EMAIL]: 'email',
  [SanType.IP_ADDRESS]: 'ip',
}

function decodeSubjectAltNames(
  { matchTypedSubjectAltNames, matchSubjectAltNames }: CertificateValidationContext,
  problems: Problems,
): readonly SubjectAltNameMatcher[] {
  const typed = matchTypedSubjectAltNames.map((message, index) =>
    decodeTyped(message, problems.at('match_typed_subject_alt_names', index)),
  )
  // Deprecated, and of any type.
  const untyped = matchSubjectAltNames.map((message, index): SubjectAltNameMatcher => {
    const matcher = decodeStringMatcher(message, problems.at('match_subject_alt_names', index))
    return { type: 'any', matcher }
  })
  return [...typed, ...untyped]
}

function decodeTyped({ sanType, matcher }: SanMatcherMessage, problems: Problems): SubjectAltNameMatcher {
  const type = sanTypes[sanType]
  if (type === undefined) problems.addAt('san_type', `must be DNS, URI, EMAIL or IP_ADDRESS, got ${sanType}`)
  if (matcher === undefined) problems.addAt('matcher', 'is required')
  const decoded = matcher && decodeStringMatcher(matcher, problems.at('matcher'))
  return { type: type ?? 'any', matcher: decoded ?? { kind: 'exact', value: '', ignoreCase: false } }
}

/** Node speaks TLS 1.2 and 1.3. A floor below 1.2 is met by it; what has to be above, or chosen in detail, cannot be. */
export function decodeTlsVersions(
  params: TlsParameters | undefined,
  problems: Problems,
): { readonly minVersion: TlsVersion | undefined; readonly maxVersion: TlsVersion } {
  if (params === undefined) return { minVersion: undefined, maxVersion: 'TLSv1.3' }
  const { tlsMinimumProtocolVersion: minimum, tlsMaximumProtocolVersion: maximum } = params
  for (const field of ['cipherSuites', 'ecdhCurves', 'signatureAlgorithms'] as const)
    if (params[field].length > 0)
      problems.addAt(
        field.replaceAll(/[A-Z]/g, upper => `_${upper.toLowerCase()}`),
        'is not supported',
      )
  if (maximum === TlsProtocol.TLSv1_0 || maximum === TlsProtocol.TLSv1_1)
    problems.addAt('tls_maximum_protocol_version', 'must be at least TLSv1_2')
  return {
    minVersion: minimum === TlsProtocol.TLS_AUTO ? undefined : minimum === TlsProtocol.TLSv1_3 ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: maximum === TlsProtocol.TLSv1_2 ? 'TLSv1.2' : 'TLSv1.3',
  }
}
