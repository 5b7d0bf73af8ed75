import type { CheckAnswer, GrpcCheck } from '../../policies/health-check.ts'
import type { ChannelProfile } from './endpoint-channel.ts'
import type { EndpointChannels } from './endpoint-channels.ts'
import { grpcCode } from './grpc-code.ts'
import { grpcJs } from './grpc-js.ts'

const serving = 1
let profile: ChannelProfile | null = null

/** Calls `grpc.health.v1.Health/Check` of an endpoint. Returns what gives up; nobody is told then. */
export function checkGrpcHealth(
  channels: EndpointChannels,
  authority: string,
  { service, metadata }: GrpcCheck,
  done: (answer: CheckAnswer) => void,
): () => void {
  const { Client, credentials, Metadata } = grpcJs()
  profile ??= { options: {}, credentials: credentials.createInsecure(), channelId: '', isClosed: false }
  const client = new Client('', credentials.createInsecure(), { channelOverride: channels.get(profile, authority) })
  const sent = new Metadata()
  for (const { name, value } of metadata) sent.add(name, name.endsWith('-bin') ? Buffer.from(value) : value)
  let isGivenUp = false
  const call = client.makeUnaryRequest(
    '/grpc.health.v1.Health/Check',
    encodeRequest,
    decodeStatus,
    service,
    sent,
    (error, status) => {
      if (isGivenUp) return
      if (error !== null) {
        const isUnreachable = error.code === grpcCode.unavailable || error.code === grpcCode.deadlineExceeded
        done({ result: isUnreachable ? 'failed' : 'unhealthy', reason: error.details })
      } else {
        done({ result: status === serving ? 'healthy' : 'unhealthy', reason: `serving status ${status ?? 0}` })
      }
    },
  )
  return () => {
    isGivenUp = true
    call.cancel()
  }
}

/** `HealthCheckRequest { string service = 1; }` */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service)
  if (name.length === 0) return name
  const head = [0x0a]
  let length = name.length
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80)
  head.push(length)
  return Buffer.concat([Buffer.from(head), name])
}

/** `HealthCheckResponse { ServingStatus status = 1; }`; the default is left out. */
function decodeStatus(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0
}
