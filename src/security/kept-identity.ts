import type { Logger, Runtime } from '../runtime.ts'
import type { CertificateProvider, WorkloadIdentity } from './certificate-provider.ts'
import { ExpiryAlarm } from './expiry-alarm.ts'

/** The last good identity of a provider, and those who wait for it. */
export class KeptIdentity implements CertificateProvider {
  readonly #alarm: ExpiryAlarm
  readonly #logger: Logger
  readonly #listeners = new Set<(identity: WorkloadIdentity) => void>()
  readonly #first = Promise.withResolvers<void>()
  #current: WorkloadIdentity | undefined

  constructor({ clock, logger }: Runtime) {
    this.#alarm = new ExpiryAlarm(clock, logger)
    this.#logger = logger
    // Whoever waits for it hears of it.
    this.#first.promise.catch(() => {})
  }

  get current(): WorkloadIdentity | undefined {
    return this.#current
  }

  /** Resolves when there is an identity; rejects with what {@link fail} was given. */
  ready(): Promise<void> {
    return this.#first.promise
  }

  subscribe(listener: (identity: WorkloadIdentity) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** @param issuedAt wall-clock milliseconds, where it is known */
  set(identity: WorkloadIdentity, issuedAt?: number): void {
    this.#current = identity
    this.#alarm.watch(identity, issuedAt)
    this.#first.resolve()
    for (const listener of [...this.#listeners]) {
      try {
        listener(identity)
      } catch (error) {
        // The others must hear of it: a root may be gone.
        this.#logger.error('a listener to the identity of this workload failed', { error: String(error) })
      }
    }
  }

  /** There will never be a first one. */
  fail(error: unknown): void {
    this.#first.reject(error)
  }

  close(): void {
    this.#alarm.close()
  }
}
