import type { Client } from '@grpc/grpc-js'
import type { DataPlane } from '../data-plane.ts'
import type { Target } from '../target.ts'
import { grpcJs } from './grpc-js.ts'
import { MeshChannel } from './mesh-channel.ts'

const asBuffer = (bytes: Buffer): Buffer => bytes

/** Makes unary calls of messages that are encoded already. */
export class UnaryCaller {
  readonly #client: Client

  constructor(plane: DataPlane, target: Target, authority: string) {
    const { Client, credentials } = grpcJs()
    const channelOverride = new MeshChannel(plane, () => target, authority)
    this.#client = new Client(authority, credentials.createInsecure(), { channelOverride })
  }

  /**
   * @param metadata names and values in turn
   * @throws Error when the status is not OK, or why `signal` ended it
   */
  call(path: string, message: Uint8Array, metadata: readonly string[], signal: AbortSignal): Promise<Uint8Array> {
    const { Metadata } = grpcJs()
    const sent = new Metadata()
    for (let at = 0; at < metadata.length; at += 2) {
      const [name = '', value = ''] = metadata.slice(at, at + 2)
      sent.add(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value)
    }
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const call = this.#client.makeUnaryRequest<Buffer, Buffer>(
        path,
        asBuffer,
        asBuffer,
        Buffer.from(message),
        sent,
        (error, answer) => {
          signal.removeEventListener('abort', onAbort)
          if (error === null && answer !== undefined) resolve(answer)
          else reject(signal.aborted ? signal.reason : error)
        },
      )
      const onAbort = () => call.cancel()
      signal.addEventListener('abort', onAbort)
    })
  }
}
