import { MeshError } from '../errors.ts'
import type { CertificateProvider, WorkloadIdentity } from './certificate-provider.ts'

/** The certificate providers of this process, by instance name (gRFC A29). */
export class Identities {
  readonly #providers: ReadonlyMap<string, CertificateProvider>

  constructor(providers: ReadonlyMap<string, CertificateProvider> = new Map()) {
    this.#providers = providers
  }

  /** The process is nobody in the mesh, and trusts nobody. */
  get isEmpty(): boolean {
    return this.#providers.size === 0
  }

  /** Whether there is such an instance, be its first certificate still on the way. */
  has(instance: string): boolean {
    return this.#providers.has(instance)
  }

  /** The identity to use now; `undefined` while there is none. */
  current(instance: string): WorkloadIdentity | undefined {
    return this.#providers.get(instance)?.current
  }

  /**
   * The identity whose roots a peer is verified with.
   *
   * @throws MeshError `MESH_ERR_IDENTITY` while there is none
   */
  trusted(instance: string): WorkloadIdentity {
    const identity = this.current(instance)
    if (identity !== undefined) return identity
    throw missing(instance, this.has(instance) ? 'its certificate is not there yet' : 'there is no such certificate provider')
  }

  /**
   * The identity to show to a peer. One that has expired is not shown: the peer would end the connection without saying why.
   *
   * @param now wall clock, ms
   * @throws MeshError `MESH_ERR_IDENTITY` while there is none, or it has expired
   */
  own(instance: string, now: number): WorkloadIdentity {
    const identity = this.trusted(instance)
    const validTo = identity.svid.certificateChain[0]?.validTo ?? ''
    if (Date.parse(validTo) < now) throw missing(instance, `its certificate has expired (${validTo}) and could not be renewed`)
    return identity
  }

  /** Calls `listener` whenever any identity changes. Returns what ends that. */
  subscribe(listener: (instance: string, identity: WorkloadIdentity) => void): () => void {
    const ends = [...this.#providers].map(([instance, provider]) => provider.subscribe(identity => listener(instance, identity)))
    return () => {
      for (const end of ends) end()
    }
  }

  close(): void {
    for (const provider of this.#providers.values()) provider.close()
  }
}

const missing = (instance: string, why: string) =>
  new MeshError('MESH_ERR_IDENTITY', `identity "${instance}": ${why}`, { flag: 'UF', statusCode: 503 })
