import { isIP } from 'node:net'
import type { ChannelCredentials, ChannelInterface, ChannelOptions } from '@grpc/grpc-js'
import type { Address } from '../endpoint.ts'
import type { SecureTransport } from '../upstream-tls.ts'
import { withCallCredentialsOf } from './call-credentials.ts'
import { grpcJs, ordinaryChannel } from './grpc-js.ts'
import { watchedCredentials } from './watched-credentials.ts'
import { withoutRetries } from './without-retries.ts'

/** Where and how to connect: everything about an endpoint's channels that its cluster decides. */
export interface EndpointChannelOptions {
  /** IP address, host name (logical DNS), or path of a Unix socket when `port` is 0. */
  readonly address: string
  readonly port: number
  /** Other addresses of the same server, tried 250 ms apart (gRFC A61); those of the other family are left out: a target of grpc-js has one. */
  readonly alternatives?: readonly Address[]
  readonly tls: SecureTransport | undefined
  /** Begins what runs beside the calls on one of the channels. It is ended with that channel, and begun on another while there is one. */
  readonly beside?: (channel: ChannelInterface) => { close(): void }
  /** Called when the endpoint is connected that was not. */
  readonly onConnected?: () => void
}

/** What a client asks of its connections. Its identity tells clients apart. */
export interface ChannelProfile {
  /** grpc-js's own, such as message size limits and compression. */
  readonly options: ChannelOptions
  /** Used where the cluster has no TLS of its own; where it has, those of calls are. */
  readonly credentials: ChannelCredentials
  /** Tells the client apart where calls are balanced by it (`io.grpc.channel_id`, gRFC A42). */
  readonly channelId: string
  /** No connection is made for it any more. */
  readonly isClosed: boolean
}

/** What an endpoint's channel never does itself: routing, retrying and looking up are the mesh's. */
const meshOptions: ChannelOptions = {
  'grpc.enable_retries': 0,
  'grpc.service_config': '{}',
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
}

/** What a client may have otherwise. */
const defaultOptions: ChannelOptions = {
  // Servers of grpc-go, Java and C++ end a connection that is pinged more often than every 5 minutes. It also is how long a stream can outlive
  // the GOAWAY of its connection: grpc-js takes a connection that is closing for a dead one when it is time for a ping.
  'grpc.keepalive_time_ms': 310_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 1_000,
  'grpc.max_reconnect_backoff_ms': 10_000,
}

/**
 * An ordinary channel to an endpoint, for one client and one authority.
 *
 * @param isExtra with a connection of its own, which grpc-js would otherwise share
 */
export function createChannel(
  endpoint: EndpointChannelOptions,
  profile: ChannelProfile,
  authority: string,
  isExtra: boolean,
): ChannelInterface {
  const Channel = ordinaryChannel()
  const { address, port, alternatives = [], tls } = endpoint
  const target = targetOf(address, port, alternatives)
  const own = isExtra ? { 'grpc.use_local_subchannel_pool': 1 } : {}
  const options = { ...defaultOptions, ...profile.options, ...meshOptions, ...own, 'grpc.default_authority': authority }
  if (tls === undefined) {
    const { credentials } = profile
    const known = credentials._isSecure() ? nameOfServer(authority) : ''
    // The client's own comes first; without any grpc-js expects the address of the endpoint.
    const named = known === '' ? options : { 'grpc.ssl_target_name_override': known, ...options }
    return withoutRetries(new Channel(target, credentials, named))
  }
  const { servername, secureContext, checkServerIdentity } = tls.connectOptions(hostOf(authority))
  const verify = checkServerIdentity === undefined ? {} : { checkServerIdentity }
  const secured = watchedCredentials(
    grpcJs().credentials.createFromSecureContext(secureContext, verify),
    servername !== '',
    socket => tls.watch(socket),
  )
  const credentials = withCallCredentialsOf(profile.credentials, secured)
  const named = servername === '' ? options : { ...options, 'grpc.ssl_target_name_override': servername }
  return withoutRetries(new Channel(target, credentials, named))
}

/** Whom a server is to prove to be; empty for an address, which is looked for as such. */
function nameOfServer(authority: string): string {
  const host = hostOf(authority)
  return isIP(host) === 0 ? host : ''
}

function targetOf(address: string, port: number, alternatives: readonly Address[]): string {
  if (port === 0) return `unix:${address}`
  const family = isIP(address)
  if (family === 0) return `dns:${address}:${port}`
  const all = [{ address, port }, ...alternatives.filter(each => isIP(each.address) === family)]
  if (family === 4) return `ipv4:${all.map(each => `${each.address}:${each.port}`).join(',')}`
  return `ipv6:${all.map(each => `[${each.address}]:${each.port}`).join(',')}`
}

function hostOf(authority: string): string {
  return /^\[([^\]]+)\]|^[^:]+/.exec(authority)?.[1] ?? authority.replace(/:\d+$/, '')
}
