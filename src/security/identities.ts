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
