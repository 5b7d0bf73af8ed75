import pRetry, { AbortError } from 'p-retry'
import type { Runtime, Timer } from '../runtime.ts'
import type { CertificateProvider, WorkloadIdentity } from './certificate-provider.ts'
import { makeCertificateRequest } from './certificate-request.ts'
import { type CertificateSigner, CertificateSignerError, type SignedCertificate } from './certificate-signer.ts'
import { KeptIdentity } from './kept-identity.ts'
import { makeIdentity } from './own-svid.ts'
import { renewalDelayMs } from './renewal-schedule.ts'
import { SvidValidator } from './svid-validator.ts'
import { setWallTimeout } from './wall-timeout.ts'

/** How long to wait before an authority is asked again, in the words of p-retry. */
const defaultBackoff = { minTimeout: 500, maxTimeout: 30_000, factor: 2 }

/** Longest wait for an answer, the connection included: an authority that says nothing is asked again, like one that is not there. */
const answerTimeoutMs = 30_000

/** Options of {@link RenewedCertificateProvider}. */
export interface RenewedCertificateOptions {
  readonly signer: CertificateSigner
  readonly runtime: Runtime
  readonly backoff?: { readonly minTimeout: number; readonly maxTimeout: number; readonly factor: number }
}

/**
 * An identity that a certificate authority signs, renewed at half of its lifetime. The key is made here, anew each time, and goes nowhere.
 * The last good one is kept for as long as there is no other; one that is wrong is as good as none.
 */
export class RenewedCertificateProvider implements CertificateProvider {
  readonly #options: RenewedCertificateOptions
  readonly #validator: SvidValidator
  readonly #kept: KeptIdentity
  readonly #abort = new AbortController()
  #timer: Timer | null = null

  constructor(options: RenewedCertificateOptions) {
    this.#options = options
    this.#validator = new SvidValidator(options.runtime.clock)
    this.#kept = new KeptIdentity(options.runtime)
    void this.#renew()
  }

  get current(): WorkloadIdentity | undefined {
    return this.#kept.current
  }

  /**
   * Resolves when there is an identity.
   *
   * @throws CertificateSignerError when the authority will never give one
   */
  ready(): Promise<void> {
    return this.#kept.ready()
  }

  subscribe(listener: (identity: WorkloadIdentity) => void): () => void {
    return this.#kept.subscribe(listener)
  }

  close(): void {
    this.#abort.abort(new Error('closed'))
    this.#timer?.cancel()
    this.#kept.close()
    this.#options.signer.close()
  }

  async #renew(): Promise<void> {
    const { runtime, backoff = defaultBackoff } = this.#options
    const { logger, random, clock } = runtime
    try {
      const identity = await pRetry(() => this.#sign(), {
        ...backoff,
        retries: Number.POSITIVE_INFINITY,
        randomize: true,
        signal: this.#abort.signal,
        unref: this.current !== undefined,
        onFailedAttempt: ({ error, attemptNumber }) =>
          logger.warn(`no certificate: ${error.message}`, { attempt: attemptNumber, renews: this.current?.svid.spiffeId }),
      })
      const now = clock.wallNow()
      const [leaf] = identity.svid.certificateChain
      if (leaf !== undefined) {
        const delayMs = renewalDelayMs(leaf, now, random)
        this.#timer = setWallTimeout(clock, () => void this.#renew(), delayMs)
      }
      this.#kept.set(identity, now)
    } catch (error) {
      this.#kept.fail(error)
    }
  }

  async #sign(): Promise<WorkloadIdentity> {
    const { signal } = this.#abort
    try {
      const { privateKey, csr } = await makeCertificateRequest()
      const { chain, roots } = await this.#answerTo(csr)
      return makeIdentity({ chain, privateKey, roots }, this.#validator, this.current?.svid.spiffeId)
    } catch (error) {
      signal.throwIfAborted()
      // An identity that there is can be renewed again for as long as it lives.
      if (error instanceof CertificateSignerError && error.isFinal && this.current === undefined) throw new AbortError(error)
      throw error instanceof TypeError ? new Error(error.message, { cause: error }) : error
    }
  }

  async #answerTo(csr: string): Promise<SignedCertificate> {
    const { signer, runtime } = this.#options
    const late = new AbortController()
    const onLate = () => late.abort(new Error(`no answer within ${answerTimeoutMs} ms`))
    const timer = runtime.clock.setTimeout(onLate, answerTimeoutMs)
    const signal = AbortSignal.any([this.#abort.signal, late.signal])
    const gaveUp = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    try {
      return await Promise.race([signer.sign(csr, this.current, signal), gaveUp])
    } finally {
      timer.cancel()
    }
  }
}
