import type { Server, ServerUnaryCall, ServerWritableStream, ServiceDefinition, sendUnaryData } from '@grpc/grpc-js'

/** `grpc.health.v1.HealthCheckResponse.ServingStatus` */
export const servingStatus = { serving: 1, notServing: 2, serviceUnknown: 3 } as const

/** An object, since grpc-js takes an empty string for no message. */
interface HealthCheckRequest {
  readonly service: string
}

type ServingStatus = (typeof servingStatus)[keyof typeof servingStatus]

const notFound = 5

const bytes = (value: Buffer) => value
const method = (name: string, responseStream: boolean) => ({
  path: `/grpc.health.v1.Health/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: decode,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})
const definition: ServiceDefinition = { Check: method('Check', false), Watch: method('Watch', true) }

/** The service `grpc.health.v1.Health` of a server: the state of the whole under the empty name, and of single services. */
export class HealthService {
  readonly #statuses = new Map<string, ServingStatus>([['', servingStatus.serving]])
  readonly #watchers = new Map<string, Set<ServerWritableStream<HealthCheckRequest, Buffer>>>()
  #isDrained = false

  /** Adds the service to `server`. Returns whether there was none. */
  addTo(server: Server): boolean {
    try {
      server.addService(definition, {
        Check: (call: ServerUnaryCall<HealthCheckRequest, Buffer>, callback: sendUnaryData<Buffer>) =>
          this.#check(call, callback),
        Watch: (call: ServerWritableStream<HealthCheckRequest, Buffer>) => this.#watch(call),
      })
      return true
    } catch {
      // The application brings its own.
      return false
    }
  }

  /** Sets the state of a service; the empty name is the server's. */
  set(service: string, status: 'SERVING' | 'NOT_SERVING'): void {
    if (!this.#isDrained) this.#set(service, status === 'SERVING' ? servingStatus.serving : servingStatus.notServing)
  }

  /** Everything is NOT_SERVING from now on, whatever is set. */
  drain(): void {
    this.#isDrained = true
    for (const service of this.#statuses.keys()) this.#set(service, servingStatus.notServing)
  }

  /** Ends what watches, so that the server can end. */
  close(): void {
    for (const watchers of this.#watchers.values()) for (const call of watchers) call.end()
  }

  /** Names that somebody watches, whether or not there is such a service. */
  get watched(): number {
    return this.#watchers.size
  }

  #set(service: string, status: ServingStatus): void {
    if (this.#statuses.get(service) === status) return
    this.#statuses.set(service, status)
    for (const call of this.#watchers.get(service) ?? []) call.write(encode(status))
  }

  #check(call: ServerUnaryCall<HealthCheckRequest, Buffer>, callback: sendUnaryData<Buffer>): void {
    const status = this.#statuses.get(call.request.service)
    if (status === undefined) callback({ code: notFound, details: `unknown service ${call.request.service}` })
    else callback(null, encode(status))
  }

  #watch(call: ServerWritableStream<HealthCheckRequest, Buffer>): void {
    const { service } = call.request
    const watchers = this.#watchers.get(service) ?? new Set()
    this.#watchers.set(service, watchers)
    watchers.add(call)
    const leave = () => {
      watchers.delete(call)
      // A name is the caller's choice: it is not kept for longer than it is watched.
      if (watchers.size === 0 && this.#watchers.get(service) === watchers) this.#watchers.delete(service)
    }
    call.on('cancelled', leave)
    call.on('close', leave)
    call.write(encode(this.#statuses.get(service) ?? servingStatus.serviceUnknown))
  }
}

/** `HealthCheckResponse` with its `status`. */
function encode(status: ServingStatus): Buffer {
  return Buffer.from([0x08, status])
}

function decode(message: Buffer): HealthCheckRequest {
  if (message[0] !== 0x0a) return { service: '' }
  let [length, at] = [0, 1]
  for (let shift = 0; at < message.length; shift += 7) {
    const byte = message[at++] ?? 0
    length |= (byte & 127) << shift
    if (byte < 128) break
  }
  return { service: message.toString('utf8', at, at + length) }
}
