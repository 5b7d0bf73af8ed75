import { connect as connectSocket, isIP } from 'node:net'
import type { Runtime } from '../runtime.ts'
import type { CertificateProvider, WorkloadIdentity } from '../security/certificate-provider.ts'
import { KeptIdentity } from '../security/kept-identity.ts'
import { makeIdentity } from '../security/own-svid.ts'
import { parseSpiffeId } from '../security/spiffe-id.ts'
import { SvidValidator } from '../security/svid-validator.ts'
import type { TrustBundle } from '../security/trust-bundle.ts'
import { callStreaming, connectOver, type GrpcConnection, GrpcStatusError } from './grpc-call.ts'
import { type ConversationEnd, ReconnectLoop } from './reconnect-loop.ts'
import { decodeSvidResponse } from './workload-api-messages.ts'

const path = '/SpiffeWorkloadAPI/FetchX509SVID'
/** INVALID_ARGUMENT: asking again would be answered in the same way (SPIFFE Workload API, section 5.2). */
const invalidArgument = 3

/** Options of {@link WorkloadApiProvider}. */
export interface WorkloadApiOptions {
  /** `unix:/path`, `unix:///path` or `tcp://127.0.0.1:8081` (SPIFFE Workload Endpoint, section 4). */
  readonly socket: string
  readonly runtime: Runtime
}

/**
 * The identity that an agent on this machine gives (SPIFFE Workload API, `FetchX509SVID`): the first SVID of each answer, and the bundles of
 * its domain and of those that it is federated with. The stream stays open, and is opened again when it ends: at once, unless it was as short
 * as a second.
 */
export class WorkloadApiProvider implements CertificateProvider {
  readonly #where: { readonly path: string } | { readonly host: string; readonly port: number }
  readonly #runtime: Runtime
  readonly #validator: SvidValidator
  readonly #kept: KeptIdentity
  readonly #loop: ReconnectLoop
  #connection: GrpcConnection | null = null

  /** @throws Error when the address is none */
  constructor({ socket, runtime }: WorkloadApiOptions) {
    this.#where = parseEndpoint(socket)
    this.#runtime = runtime
    this.#validator = new SvidValidator(runtime.clock)
    this.#kept = new KeptIdentity(runtime)
    this.#loop = new ReconnectLoop({ runtime, name: 'SPIFFE Workload API', converse: () => this.#converse() })
    this.#loop.start()
  }

  get current(): WorkloadIdentity | undefined {
    return this.#kept.current
  }

  /** Resolves when there is an identity; rejects when the agent says that there will be none. */
  ready(): Promise<void> {
    return this.#kept.ready()
  }

  subscribe(listener: (identity: WorkloadIdentity) => void): () => void {
    return this.#kept.subscribe(listener)
  }

  close(): void {
    this.#loop.close()
    this.#connection?.end()
    this.#kept.close()
  }

  /** One stream. It failed when it ended before it brought anything. */
  async #converse(): Promise<ConversationEnd> {
    const connection = connectOver(connectSocket(this.#where), 'http://localhost')
    const { session } = connection
    this.#connection = connection
    let hasAnswered = false
    try {
      const call = { path, message: new Uint8Array(), metadata: { 'workload.spiffe.io': 'true' } }
      await callStreaming(session, call, message => {
        hasAnswered = true
        // A first identity was waited for; from then on it keeps nothing alive.
        if (this.#take(message)) session.unref()
      })
    } catch (error) {
      if (this.#loop.isClosed) return 'stop'
      this.#runtime.logger.warn(`SPIFFE Workload API: ${error instanceof Error ? error.message : String(error)}`)
      if (error instanceof GrpcStatusError && error.code === invalidArgument) {
        this.#kept.fail(error)
        return 'stop'
      }
      if (!hasAnswered) throw error
    } finally {
      connection.end()
    }
    return 'ended'
  }

  /** Whether it was good. What is not, leaves everything as it was. */
  #take(message: Uint8Array): boolean {
    try {
      this.#kept.set(this.#read(message))
      return true
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#runtime.logger.error(`SPIFFE Workload API: an answer cannot be used: ${reason}`)
      return false
    }
  }

  #read(message: Uint8Array): WorkloadIdentity {
    const { svids, federated, crls } = decodeSvidResponse(message)
    const [svid] = svids
    if (svid === undefined) throw new Error('it has no SVID')
    // They are not looked at, and must not seem to be.
    if (crls > 0) throw new Error('it has revocation lists, which are not supported')
    const bundles = Array.from(federated, ([name, authorities]): TrustBundle => {
      const id = parseSpiffeId(name.startsWith('spiffe://') ? name : `spiffe://${name}`)
      if ('problem' in id) throw new Error(`${JSON.stringify(name)} is no trust domain: it ${id.problem}`)
      return { trustDomain: id.trustDomain, authorities, sequence: undefined }
    })
    return makeIdentity({ ...svid, federated: bundles }, this.#validator, svid.spiffeId)
  }
}

function parseEndpoint(socket: string): { readonly path: string } | { readonly host: string; readonly port: number } {
  const unix = /^unix:(?:\/\/)?(\/[^?#]*)$/.exec(socket)
  if (unix?.[1] !== undefined) return { path: unix[1] }
  const tcp = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/]+)):(\d+)$/.exec(socket)
  const host = tcp?.[1] ?? tcp?.[2] ?? ''
  const port = Number(tcp?.[3] ?? 0)
  if (isIP(host) === 0 || port === 0 || port > 65_535)
    throw new Error(`must be unix:/path or tcp://IP:port, got ${JSON.stringify(socket)}`)
  return { host, port }
}
