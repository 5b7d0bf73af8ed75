import { isIP } from 'node:net'
import type { ChannelCredentials, ChannelInterface, ChannelOptions } from '@grpc/grpc-js'
import type { WorkloadIdentity } from '../../security/certificate-provider.ts'
import type { Address } from '../endpoint.ts'
import type { SecureTransport } from '../upstream-tls.ts'
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
}

/** What a client asks of its connections. Its identity tells clients apart. */
export interface ChannelProfile {
  /** grpc-js's own, such as message size limits and compression. */
  readonly options: ChannelOptions
  /** Used where the cluster has no TLS of its own. */
  readonly credentials: ChannelCredentials
}

/** What an endpoint's channel never does itself: routing, retrying and looking up are the mesh's. */
const meshOptions: ChannelOptions = {
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
  // Servers of grpc-go, Java and C++ end a connection that is pinged more often than every 5 minutes. It also is how long a stream can outlive
  // the GOAWAY of its connection: grpc-js takes a connection that is closing for a dead one when it is time for a ping.
  'grpc.keepalive_time_ms': 310_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 1_000,
  'grpc.max_reconnect_backoff_ms': 10_000,
}

/** What servers commonly let a connection carry at once; what one of them really does grpc-js tells nobody. */
const callsPerConnection = 100
/** To one endpoint, for one client. */
const maxConnections = 16

/**
 * The connections to one endpoint: one ordinary grpc-js channel for each client profile and authority. Channels of the same options share
 * their connection, since grpc-js does that below.
 */
export class EndpointChannels {
  readonly #options: EndpointChannelOptions
  readonly #channels = new Map<ChannelProfile, Map<string, ChannelInterface>>()
  #lastProfile: ChannelProfile | null = null
  #lastAuthority = ''
  #last: ChannelInterface | null = null
  /** That the channels were made with: a channel keeps its certificate for life. */
  #identity: WorkloadIdentity | undefined
  #isClosed = false
  #beside: { close(): void } | null = null
  #besideProfile: ChannelProfile | null = null

  constructor(options: EndpointChannelOptions) {
    this.#options = options
  }

  /**
   * The channel of a client for calls to `authority`; made on first use.
   *
   * @throws MeshError `MESH_ERR_IDENTITY` while there is no certificate to connect with
   * @param activeCalls of the endpoint, this one included: with more than a connection may carry, another connection is made (gRFC A105)
   */
  get(profile: ChannelProfile, authority: string, activeCalls = 1): ChannelInterface {
    const { tls } = this.#options
    if (tls !== undefined) this.#follow(tls.identity)
    if (activeCalls > callsPerConnection) return this.#extra(profile, authority, activeCalls)
    if (this.#last !== null && profile === this.#lastProfile && authority === this.#lastAuthority) return this.#last
    const channel = this.#find(profile, authority, 0)
    this.#lastProfile = profile
    this.#lastAuthority = authority
    this.#last = channel
    return channel
  }

  /** With a new identity come new channels; the calls on the old ones go on. */
  #follow(identity: WorkloadIdentity | undefined): void {
    if (identity === this.#identity) return
    this.#identity = identity
    this.#closeAll()
  }

  #extra(profile: ChannelProfile, authority: string, activeCalls: number): ChannelInterface {
    return this.#find(profile, authority, Math.min(maxConnections, Math.ceil(activeCalls / callsPerConnection)) - 1)
  }

  #find(profile: ChannelProfile, authority: string, connection: number): ChannelInterface {
    let byAuthority = this.#channels.get(profile)
    if (byAuthority === undefined) {
      byAuthority = new Map()
      this.#channels.set(profile, byAuthority)
    }
    const key = connection === 0 ? authority : `${authority} ${connection}`
    let channel = byAuthority.get(key)
    if (channel === undefined) {
      channel = createChannel(this.#options, profile, authority, connection > 0)
      byAuthority.set(key, channel)
      if (this.#beside === null) this.#beginBeside(profile, channel)
      // An exchange that picked this endpoint just before it was removed still gets its connection.
      if (this.#isClosed) setImmediate(() => this.#closeAll())
    }
    return channel
  }

  /** Forgets a client that is closed. */
  release(profile: ChannelProfile): void {
    const released = this.#channels.get(profile)
    if (released === undefined) return
    this.#channels.delete(profile)
    if (this.#besideProfile === profile) this.#moveBeside()
    for (const channel of released.values()) channel.close()
    if (this.#lastProfile === profile) this.#last = null
  }

  /** Channels that were made, for people. */
  *channels(): IterableIterator<ChannelInterface> {
    for (const byAuthority of this.#channels.values()) yield* byAuthority.values()
  }

  /** Ends the connections once the calls on them are done; grpc-js keeps them for as long. */
  drain(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // One turn late, so that what was picked in this turn is accepted.
    setImmediate(() => this.#closeAll())
  }

  #beginBeside(profile: ChannelProfile, channel: ChannelInterface): void {
    this.#besideProfile = profile
    this.#beside = this.#options.beside?.(channel) ?? null
  }

  #moveBeside(): void {
    this.#beside?.close()
    this.#beside = null
    this.#besideProfile = null
    if (this.#isClosed) return
    for (const [profile, byAuthority] of this.#channels) {
      for (const channel of byAuthority.values()) {
        this.#beginBeside(profile, channel)
        return
      }
    }
  }

  #closeAll(): void {
    for (const profile of [...this.#channels.keys()]) this.release(profile)
  }
}

/** @param isExtra with a connection of its own, which grpc-js would otherwise share */
function createChannel(
  endpoint: EndpointChannelOptions,
  profile: ChannelProfile,
  authority: string,
  isExtra: boolean,
): ChannelInterface {
  const Channel = ordinaryChannel()
  const { address, port, alternatives = [], tls } = endpoint
  const target = targetOf(address, port, alternatives)
  const own = isExtra ? { 'grpc.use_local_subchannel_pool': 1 } : {}
  const options = { ...meshOptions, ...profile.options, ...own, 'grpc.default_authority': authority }
  if (tls === undefined) return withoutRetries(new Channel(target, profile.credentials, options))
  const { servername, secureContext, checkServerIdentity } = tls.connectOptions(hostOf(authority))
  const verify = checkServerIdentity === undefined ? {} : { checkServerIdentity }
  const credentials = watchedCredentials(
    grpcJs().credentials.createFromSecureContext(secureContext, verify),
    servername !== '',
    socket => tls.watch(socket),
  )
  const named = servername === '' ? options : { ...options, 'grpc.ssl_target_name_override': servername }
  return withoutRetries(new Channel(target, credentials, named))
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
