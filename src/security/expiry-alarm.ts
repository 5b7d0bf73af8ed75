import type { Clock, Logger, Timer } from '../runtime.ts'
import type { WorkloadIdentity } from './certificate-provider.ts'
import { type ExpiryStage, expiryStage, nextStageDelayMs } from './renewal-schedule.ts'
import { setWallTimeout } from './wall-timeout.ts'

/** Tells when a certificate that should long have been renewed comes to its end: at a quarter and a tenth of its life, and when it is over. */
export class ExpiryAlarm {
  readonly #clock: Clock
  readonly #logger: Logger
  #timer: Timer | null = null
  #stage: ExpiryStage = 'fresh'

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  /**
   * Watches a new certificate in the place of the last.
   *
   * @param issuedAt wall-clock milliseconds, where it is known; default what the certificate says
   */
  watch({ svid }: WorkloadIdentity, issuedAt?: number): void {
    this.#timer?.cancel()
    this.#stage = 'fresh'
    const [leaf] = svid.certificateChain
    if (leaf === undefined) return
    const check = () => {
      const now = this.#clock.wallNow()
      const stage = expiryStage(leaf, now, issuedAt)
      if (stage !== this.#stage) this.#tell(stage, svid.spiffeId, leaf.validTo)
      this.#stage = stage
      const delayMs = nextStageDelayMs(leaf, now, issuedAt)
      this.#timer = delayMs === undefined ? null : setWallTimeout(this.#clock, check, delayMs)
    }
    check()
  }

  close(): void {
    this.#timer?.cancel()
  }

  #tell(stage: ExpiryStage, spiffeId: string, validTo: string): void {
    const message = `the certificate of this workload was not renewed: ${stage}`
    if (stage === 'expired') this.#logger.error(message, { spiffeId, validTo })
    else this.#logger.warn(message, { spiffeId, validTo })
  }
}
