import type { ChannelProfile, EndpointChannels } from './endpoint-channels.ts'
import { grpcCode } from './grpc-code.ts'
import { grpcJs } from './grpc-js.ts'

/** What an endpoint says of its health. */
export interface GrpcHealth {
  readonly isServing: boolean
  /** It said something, and not merely that it cannot be reached. */
  readonly wasAnswered: boolean
  readonly reason: string
}

const serving = 1
let profile: ChannelProfile | null = null

/**
 * Calls `grpc.health.v1.Health/Check` of an endpoint.
 *
 * @param service empty: the whole server
 * @param deadline in milliseconds since the epoch
 */
export function checkGrpcHealth(
  channels: EndpointChannels,
  authority: string,
  service: string,
  deadline: number,
): Promise<GrpcHealth> {
  const { Client, credentials } = grpcJs()
  profile ??= { options: {}, credentials: credentials.createInsecure() }
  const client = new Client('', credentials.createInsecure(), { channelOverride: channels.get(profile, authority) })
  const name = Buffer.from(service)
  const request = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  return new Promise(resolve => {
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (message: Buffer) => message,
      // The status is the only field; its default is left out.
      (message: Buffer) => (message[0] === 0x08 ? (message[1] ?? 0) : 0),
      request,
      { deadline },
      (error, status) => {
        if (error === null) resolve({ isServing: status === serving, wasAnswered: true, reason: `serving status ${status ?? 0}` })
        else {
          const wasAnswered = error.code !== grpcCode.unavailable && error.code !== grpcCode.deadlineExceeded
          resolve({ isServing: false, wasAnswered, reason: error.details })
        }
      },
    )
  })
}
