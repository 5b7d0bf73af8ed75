import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { CaseEndpoint, StatusName } from './xds-client-case.ts'

/** An attempt of a call, as a backend saw it. */
export interface SeenAttempt {
  readonly version: string
  /** Value of `grpc-previous-rpc-attempts`, or empty. */
  readonly previousAttempts: string
}

const services = ['inmesh.test.Echo', 'inmesh.test.Other']
const methods = ['Echo', 'Say']
const text = {
  requestStream: false,
  responseStream: false,
  requestSerialize: (value: string) => Buffer.from(value),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (value: string) => Buffer.from(value),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
}
const isStatus = (name: string): name is StatusName => name in status

/** The servers of one case: a request is the id of its call, its metadata says what to do (see `CaseCall`). */
export class CaseBackends {
  readonly #servers = new Map<string, Server>()
  readonly #ports = new Map<string, number>()
  readonly #seen = new Map<string, SeenAttempt[]>()
  #watcher: (() => void) | undefined

  /** Starts a server for each endpoint that is not dead. */
  static async start(endpoints: readonly CaseEndpoint[]): Promise<CaseBackends> {
    const backends = new CaseBackends()
    for (const { version, isDead } of endpoints) {
      const server = new Server()
      for (const service of services) server.addService(definition(service), backends.#implementation(version))
      const port = await bind(server)
      backends.#ports.set(version, port)
      if (isDead) server.forceShutdown()
      else backends.#servers.set(version, server)
    }
    return backends
  }

  /** Of those that are endpoints, by version. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports
  }

  /** All attempts of the call, in order. */
  attemptsOf(id: string): readonly SeenAttempt[] {
    return this.#seen.get(id) ?? []
  }

  /** Resolves when the next call is here. */
  nextCall(): Promise<void> {
    return new Promise(resolve => {
      this.#watcher = resolve
    })
  }

  /** Ends a server and its connections at once. */
  kill(version: string): void {
    this.#servers.get(version)?.forceShutdown()
  }

  /** Leaves a version out of {@link ports}. */
  remove(version: string): void {
    this.#ports.delete(version)
  }

  close(): void {
    for (const server of this.#servers.values()) server.forceShutdown()
  }

  #implementation(version: string): UntypedServiceImplementation {
    const answer = (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => this.#answer(version, call, done)
    return Object.fromEntries(methods.map(method => [method, answer]))
  }

  #answer(version: string, { request, metadata }: ServerUnaryCall<string, string>, done: sendUnaryData<string>): void {
    const value = (name: string) => String(metadata.get(name)[0] ?? '')
    const seen = this.#seen.get(request) ?? []
    seen.push({ version, previousAttempts: value('grpc-previous-rpc-attempts') })
    this.#seen.set(request, seen)
    this.#watcher?.()
    const trailers = new Metadata()
    trailers.set('x-version', version)
    const code = value('x-answer')
    const isObeyed =
      isStatus(code) &&
      seen.length <= Number(value('x-answer-times') || Number.POSITIVE_INFINITY) &&
      [version, ''].includes(value('x-answer-by'))
    const end = () =>
      isObeyed
        ? done({ code: status[code], details: `${version} says ${code}`, metadata: trailers })
        : done(null, version, trailers)
    const isDelayed = value('x-delay-ms') !== '' && [version, ''].includes(value('x-delay-by'))
    if (isDelayed) setTimeout(end, Number(value('x-delay-ms'))).unref()
    else end()
  }
}

const definition = (service: string): ServiceDefinition =>
  Object.fromEntries(methods.map(method => [method, { path: `/${service}/${method}`, ...text }]))

const bind = (server: Server) =>
  new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)))
  })
