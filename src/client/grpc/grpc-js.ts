import { createRequire } from 'node:module'

/** The library as a whole. */
export type Grpc = typeof import('@grpc/grpc-js')

let loaded: Grpc | undefined

/** grpc-js, loaded when it is first asked for: a process that makes no gRPC call does not pay for it. */
export function grpcJs(): Grpc {
  loaded ??= createRequire(import.meta.url)('@grpc/grpc-js') as Grpc
  return loaded
}
