import { createRequire } from 'node:module'

/** The library as a whole. */
export type Grpc = typeof import('@grpc/grpc-js')

let loaded: Grpc | undefined

/** grpc-js, loaded when it is first asked for: a process that makes no gRPC call does not pay for it. */
export function grpcJs(): Grpc {
  loaded ??= createRequire(import.meta.url)('@grpc/grpc-js') as Grpc
  return loaded
}

/** A class of channels, of whatever copy of grpc-js. */
export type ChannelClass = Grpc['Channel']

const ordinary = new WeakMap<ChannelClass, ChannelClass>()

/** From now on `adopted` stands where grpc-js had `own`. */
export function noteAdopted(adopted: ChannelClass, own: ChannelClass): void {
  ordinary.set(adopted, own)
}

/** grpc-js's own class of channels, also where the clients of the application have been given another: what is below the mesh. */
export function ordinaryChannel(): ChannelClass {
  const { Channel } = grpcJs()
  return ordinary.get(Channel) ?? Channel
}
