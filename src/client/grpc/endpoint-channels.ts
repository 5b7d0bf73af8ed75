import type { ChannelInterface } from '@grpc/grpc-js'
import type { WorkloadIdentity } from '../../security/certificate-provider.ts'
import { ConnectionWait, type ConnectionWaiter } from './connection-wait.ts'
import { type ChannelProfile, createChannel, type EndpointChannelOptions } from './endpoint-channel.ts'

/** What servers commonly let a connection carry at once; what one of them really does grpc-js tells nobody. */
const callsPerConnection = 100
/** `connectivityState.READY` and `SHUTDOWN`, without loading grpc-js. */
const ready = 2
const shutDown = 4
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
  #besideChannel: ChannelInterface | null = null
  /** Of the channels that calls wait for; `null` until there is one. */
  #waits: Map<ChannelInterface, ConnectionWait> | null = null

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

  /**
   * Whether a call on one of its channels has a connection. While one is made, `waiter` is told what becomes of it; a channel that was given up
   * has none until it is there.
   *
   * @param now on the monotonic clock
   */
  connect(
    channel: ChannelInterface,
    waiter: ConnectionWaiter,
    attempt: number,
    now: number,
  ): 'connected' | 'connecting' | 'stuck' {
    if (channel.getConnectivityState(false) === ready) return 'connected'
    const wait = this.#waits?.get(channel) ?? this.#await(channel, now, false)
    if (wait.isHopeless(now)) this.#replace(channel, now)
    if (wait.isStuck) return 'stuck'
    wait.add(waiter, attempt)
    return 'connecting'
  }

  /** A call has waited for the connection of a channel for too long: no other one does. */
  giveUp(channel: ChannelInterface): void {
    this.#waits?.get(channel)?.giveUp()
    if (!this.#isClosed) return
    this.#forget(channel)
    channel.close()
  }

  #await(channel: ChannelInterface, now: number, isStuck: boolean): ConnectionWait {
    this.#waits ??= new Map()
    const wait = new ConnectionWait(channel, now, isStuck, () => this.#waits?.delete(channel))
    this.#waits.set(channel, wait)
    return wait
  }

  /** Begins another connection in the place of one that does not come. */
  #replace(channel: ChannelInterface, now: number): void {
    // First: grpc-js would have the new channel share the connection.
    channel.close()
    const place = this.#forget(channel)
    if (place !== null) this.#await(this.#find(place.profile, place.authority, place.connection), now, true)
    if (this.#besideChannel === channel) this.#moveBeside()
  }

  /** Takes a channel out. Returns where it was. */
  #forget(
    channel: ChannelInterface,
  ): { readonly profile: ChannelProfile; readonly authority: string; readonly connection: number } | null {
    for (const [profile, byAuthority] of this.#channels) {
      for (const [key, each] of byAuthority) {
        if (each !== channel) continue
        byAuthority.delete(key)
        if (this.#last === channel) this.#last = null
        const [authority = '', connection = '0'] = key.split(' ')
        return { profile, authority, connection: Number(connection) }
      }
    }
    return null
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
      if (this.#options.onConnected !== undefined) this.#watch(channel, this.#options.onConnected)
      if (this.#isClosed) this.#closeOnceConnected(channel)
      else if (this.#beside === null) this.#beginBeside(profile, channel)
    }
    return channel
  }

  #watch(channel: ChannelInterface, onConnected: () => void): void {
    const state = channel.getConnectivityState(false)
    if (state === shutDown) return
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (channel.getConnectivityState(false) === ready && !this.#isConnectedBeside(channel)) onConnected()
      this.#watch(channel, onConnected)
    })
  }

  #isConnectedBeside(channel: ChannelInterface): boolean {
    for (const other of this.channels()) if (other !== channel && other.getConnectivityState(false) === ready) return true
    return false
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

  /**
   * A call keeps the cluster that it has chosen, also when that has left the configuration before an attempt (gRFC A31): the attempt gets its
   * connection. One turn late, so that it is on it.
   */
  #closeOnceConnected(channel: ChannelInterface): void {
    const close = () => {
      this.#forget(channel)
      channel.close()
    }
    // Not before the call has asked for the connection.
    setImmediate(() => new ConnectionWait(channel, 0, false, () => setImmediate(close)))
  }

  #beginBeside(profile: ChannelProfile, channel: ChannelInterface): void {
    this.#besideProfile = profile
    this.#besideChannel = channel
    this.#beside = this.#options.beside?.(channel) ?? null
  }

  #moveBeside(): void {
    this.#beside?.close()
    this.#beside = null
    this.#besideProfile = null
    this.#besideChannel = null
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
