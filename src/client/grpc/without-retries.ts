import type { ChannelInterface } from '@grpc/grpc-js'

/** What a channel of grpc-js has inside, as of 1.14. It is not part of its interface, and so is only used where it is there. */
interface InternalChannel {
  createLoadBalancingCall(...args: readonly unknown[]): unknown
  createRetryingCall(...args: readonly unknown[]): unknown
}

/**
 * Takes the layer out of a channel in which grpc-js retries: it keeps and counts messages also where it may not retry at all, which is 3 % of
 * the CPU of a unary call. A call is then where it was with retries off (`grpc.enable_retries` 0), one layer further up. A channel that is
 * built in another way stays as it is.
 */
export function withoutRetries(channel: ChannelInterface): ChannelInterface {
  const internal = 'internalChannel' in channel ? channel.internalChannel : undefined
  if (isInternalChannel(internal)) internal.createRetryingCall = (...args) => internal.createLoadBalancingCall(...args)
  return channel
}

function isInternalChannel(value: unknown): value is InternalChannel {
  if (typeof value !== 'object' || value === null) return false
  return ['createLoadBalancingCall', 'createRetryingCall'].every(name => typeof Reflect.get(value, name) === 'function')
}
