import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import type {
  HttpProtocolOptions as CommonOptions,
  UpstreamHttpProtocolOptions,
} from '../gen/envoy/config/core/v3/protocol_pb.ts'
import type { HttpProtocolOptions } from '../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts'
import { httpProtocolOptionsType } from '../message-types.ts'
import type { UpstreamHttp, UpstreamTls } from '../model/cluster.ts'
import { readTypedConfig } from './any.ts'
import { timeoutMs } from './duration.ts'
import type { Problems } from './problems.ts'

const extension = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const hourMs = 3_600_000

/** What the HTTP options of a cluster say about its TLS. */
export type AutomaticTls = Pick<UpstreamTls, 'autoSni' | 'autoSanValidation'>

/**
 * Decodes what a cluster says about HTTP: the `HttpProtocolOptions` extension, else the deprecated fields of the cluster.
 * `auto_config` and `use_downstream_protocol_config` mean HTTP/1.1 here: the caller speaks no protocol that could be copied, and
 * HTTP/1.1 is what a server without ALPN has in common with both.
 */
export function decodeUpstreamHttp(
  message: Cluster,
  problems: Problems,
): { readonly http: UpstreamHttp; readonly automaticTls: AutomaticTls } {
  const any = message.typedExtensionProtocolOptions[extension]
  const at = problems.at(`typed_extension_protocol_options["${extension}"]`)
  const options = any === undefined ? undefined : readTypedConfig(any).as(httpProtocolOptionsType, at)
  const requests = message.maxRequestsPerConnection
  if (options === undefined) {
    const protocol = message.http2ProtocolOptions === undefined ? 'http1' : 'http2'
    return {
      http: decodeCommon(message.commonHttpProtocolOptions, protocol, requests, problems),
      automaticTls: decodeAutomaticTls(message.upstreamHttpProtocolOptions, problems),
    }
  }
  return {
    http: decodeCommon(options.commonHttpProtocolOptions, decodeProtocol(options, at), requests, at),
    automaticTls: decodeAutomaticTls(options.upstreamHttpProtocolOptions, at),
  }
}

function decodeAutomaticTls(options: UpstreamHttpProtocolOptions | undefined, problems: Problems): AutomaticTls {
  const { autoSni = false, autoSanValidation = false, overrideAutoSniHeader = '' } = options ?? {}
  if (overrideAutoSniHeader !== '' && (autoSni || autoSanValidation))
    problems.at('upstream_http_protocol_options').addAt('override_auto_sni_header', 'is not supported')
  return { autoSni, autoSanValidation }
}

function decodeProtocol({ upstreamProtocolOptions }: HttpProtocolOptions, problems: Problems): UpstreamHttp['protocol'] {
  if (upstreamProtocolOptions.case !== 'explicitHttpConfig') return 'http1'
  const { protocolConfig } = upstreamProtocolOptions.value
  if (protocolConfig.case === 'http3ProtocolOptions')
    problems.at('explicit_http_config').addAt('http3_protocol_options', 'is not supported')
  return protocolConfig.case === 'http2ProtocolOptions' ? 'http2' : 'http1'
}

function decodeCommon(
  message: CommonOptions | undefined,
  protocol: UpstreamHttp['protocol'],
  deprecatedMaxRequests: number | undefined,
  problems: Problems,
): UpstreamHttp {
  const at = problems.at('common_http_protocol_options')
  const maxRequests = message?.maxRequestsPerConnection ?? deprecatedMaxRequests
  return {
    protocol,
    idleTimeoutMs: message?.idleTimeout === undefined ? hourMs : timeoutMs(message.idleTimeout, at, 'idle_timeout'),
    maxConnectionDurationMs: timeoutMs(message?.maxConnectionDuration, at, 'max_connection_duration'),
    maxRequestsPerConnection: maxRequests === 0 ? undefined : maxRequests,
  }
}
