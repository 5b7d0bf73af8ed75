import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import type { TransportSocket } from '../gen/envoy/config/core/v3/base_pb.ts'
import type { UpstreamTlsContext } from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts'
import { upstreamTlsContextType } from '../message-types.ts'
import type { TransportSocketMatch, UpstreamTls } from '../model/cluster.ts'
import { readTypedConfig, type TypedConfig } from './any.ts'
import type { AutomaticTls } from './http-protocol-options.ts'
import type { Problems } from './problems.ts'
import { decodeCertificate, decodeTlsVersions, decodeValidation, refuseUnsupported } from './tls-context.ts'

/** Of an SNI, as in Envoy (gRFC A101). */
const maxSniBytes = 255
const rawBuffer = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'

/** How a cluster is spoken to. */
export interface UpstreamTransport {
  /** `undefined`: in plain text. */
  readonly tls: UpstreamTls | undefined
  /** In order; the first that an endpoint's metadata fits wins over {@link tls}. */
  readonly matches: readonly TransportSocketMatch[]
}

/**
 * Decodes `transport_socket` and `transport_socket_matches`. A TLS context that cannot be honoured in full is an error, never a weaker
 * connection.
 */
export function decodeUpstreamTransport(message: Cluster, automatic: AutomaticTls, problems: Problems): UpstreamTransport {
  const matches = message.transportSocketMatches.map(({ match = {}, transportSocket }, index): TransportSocketMatch => {
    const at = problems.at('transport_socket_matches', index)
    const criteria: Record<string, string> = {}
    for (const [key, value] of Object.entries(match)) {
      if (typeof value === 'string') criteria[key] = value
      else at.addAt('match', `${JSON.stringify(key)} must be text, got ${JSON.stringify(value)}`)
    }
    const tls = transportSocket && decodeTransportSocket(transportSocket, automatic, at.at('transport_socket'))
    return { criteria, tls }
  })
  const { transportSocket } = message
  return {
    tls: transportSocket && decodeTransportSocket(transportSocket, automatic, problems.at('transport_socket')),
    matches,
  }
}

function decodeTransportSocket(socket: TransportSocket, automatic: AutomaticTls, problems: Problems): UpstreamTls | undefined {
  const typed = readTypedConfig(socket.configType.value)
  if (isPlain(socket, typed)) return undefined
  if (typed.type !== upstreamTlsContextType.typeName) {
    problems.add(`"${typed.type === '' ? socket.name : typed.type}" is not supported`)
    return undefined
  }
  const context = typed.as(upstreamTlsContextType, problems)
  return context && decodeUpstreamTlsContext(context, automatic, problems)
}

/** Whether a transport socket is no more than the connection itself. */
export function isPlain(socket: TransportSocket, { type }: TypedConfig): boolean {
  return type === rawBuffer || (type === '' && socket.name === 'envoy.transport_sockets.raw_buffer')
}

function decodeUpstreamTlsContext(
  context: UpstreamTlsContext,
  automatic: AutomaticTls,
  problems: Problems,
): UpstreamTls | undefined {
  const common = context.commonTlsContext
  const at = problems.at('common_tls_context')
  if (common === undefined) {
    // Envoy then verifies nothing.
    at.add('is required: without a validation context the peer would not be verified')
    return undefined
  }
  if (Buffer.byteLength(context.sni) > maxSniBytes)
    problems.addAt('sni', `must be at most ${maxSniBytes} bytes, got ${Buffer.byteLength(context.sni)}`)
  refuseUnsupported(common, at)
  const validation = decodeValidation(common, at)
  if (validation === undefined) {
    at.addAt('validation_context', 'is required: the peer would not be verified')
    return undefined
  }
  return {
    sni: context.sni,
    autoHostSni: context.autoHostSni,
    autoSniSanValidation: context.autoSniSanValidation,
    ...automatic,
    certificate: decodeCertificate(common, at),
    trust: validation.trust,
    subjectAltNames: validation.subjectAltNames,
    alpnProtocols: common.alpnProtocols,
    ...decodeTlsVersions(common.tlsParams, at.at('tls_params')),
  }
}
