import { EventEmitter } from 'node:events'
import CircuitBreaker from 'opossum'
import type { Clock } from '../runtime.ts'

/** When an {@link ErrorRateBreaker} opens and closes. */
export interface ErrorRateBreakerOptions {
  /** Opens above this share of failures, 0 to 100; default 50. */
  readonly errorThresholdPercent?: number
  /** Outcomes in the window below which it stays closed; default 20. */
  readonly volumeThreshold?: number
  /** What counts as now; default 10,000. */
  readonly windowMs?: number
  /** How long it stays open before a probe; default 30,000. */
  readonly openMs?: number
  /** How long a probe may take before another is allowed; default 10,000. */
  readonly probeLeaseMs?: number
  /** Told of each change. */
  readonly onChange?: (state: BreakerState['kind']) => void
}

/** How a pass was used. `overflow` and `cancelled` say nothing about the destination. */
export type BreakerOutcome = 'success' | 'failure' | 'overflow' | 'cancelled'

/** What the breaker is doing. Times are on the monotonic clock in milliseconds. */
export type BreakerState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly probeAt: number }
  | { readonly kind: 'half-open'; readonly leaseEndsAt: number }

/** Leave to send one request: to be returned with {@link ErrorRateBreaker.record} once. Opaque. */
export type BreakerPass = number

/** A breaker that can be taken to another process. */
export interface BreakerSnapshot {
  readonly state: BreakerState['kind']
  /** Wall-clock time at which a probe is due, in milliseconds since the epoch; 0 while closed. */
  readonly probeAtWall: number
  readonly successes: number
  readonly failures: number
}

const bucketCount = 10
const closed: BreakerState = { kind: 'closed' }

const failure = new Error('the destination failed')

/** What opossum runs: it throws at once, so that opossum has decided when `fire` returns. */
function fail(): never {
  throw failure
}

/**
 * The error-rate circuit breaker of one destination: opossum keeps the rolling window and decides when the rate is too high; this adapter feeds it
 * outcomes instead of functions, and keeps time.
 *
 * - Successes are counted in a field and handed over when opossum is asked: a call that succeeds allocates nothing, and no latency is retained.
 * - Nothing has a timer: the window turns when it is used, and time alone brings a probe.
 * - Each pass belongs to a generation: what began before a change of state cannot change the state after it.
 * - A probe has a lease. When it never comes back, the next caller probes.
 * - What says nothing about the destination (`overflow`, `cancelled`) is not counted; a probe that ends so gives its turn to the next caller.
 *
 * A refusal is flag `UO`, code `MESH_ERR_CIRCUIT_OPEN`.
 */
export class ErrorRateBreaker {
  readonly #clock: Clock
  readonly #openMs: number
  readonly #probeLeaseMs: number
  readonly #bucketMs: number
  readonly #onChange: (state: BreakerState['kind']) => void
  readonly #opossum: CircuitBreaker
  readonly #rotation = new EventEmitter()
  #bucket: CircuitBreaker.Bucket
  #tick: number
  #successes = 0
  #state: BreakerState = closed
  #generation = 0

  /** @param snapshot of {@link toJSON}, perhaps of another process */
  constructor(clock: Clock, options: ErrorRateBreakerOptions = {}, snapshot?: BreakerSnapshot) {
    const { errorThresholdPercent = 50, volumeThreshold = 20, windowMs = 10_000, openMs = 30_000 } = options
    this.#clock = clock
    this.#openMs = openMs
    this.#probeLeaseMs = options.probeLeaseMs ?? 10_000
    this.#bucketMs = windowMs / bucketCount
    this.#onChange = options.onChange ?? (() => {})
    this.#opossum = new CircuitBreaker(fail, {
      timeout: false,
      errorThresholdPercentage: errorThresholdPercent,
      volumeThreshold,
      rollingCountTimeout: windowMs,
      rollingCountBuckets: bucketCount,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: this.#rotation,
    })
    // Its listener would start a timer; whether a probe is due is decided here.
    this.#opossum.removeAllListeners('open')
    this.#bucket = this.#currentBucket()
    this.#tick = this.#now()
    if (snapshot !== undefined) this.#restore(snapshot)
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Leave to send a request, or `null` while the destination is given rest. */
  tryPass(): BreakerPass | null {
    if (this.#state === closed) return this.#generation
    const now = this.#clock.now()
    if (this.#state.kind === 'open' && now < this.#state.probeAt) return null
    if (this.#state.kind === 'half-open' && now < this.#state.leaseEndsAt) return null
    this.#change({ kind: 'half-open', leaseEndsAt: now + this.#probeLeaseMs })
    return this.#generation
  }

  /** What became of the request that a pass was for. */
  record(pass: BreakerPass, outcome: BreakerOutcome): void {
    if (pass !== this.#generation) return
    switch (this.#state.kind) {
      case 'closed':
        if (outcome === 'success' || outcome === 'failure') this.#count(outcome)
        return
      case 'half-open':
        this.#settleProbe(outcome)
        return
      case 'open':
        return
    }
  }

  toJSON(): BreakerSnapshot {
    this.#turn()
    const { stats } = this.#opossum
    const failures = stats.failures
    const successes = stats.successes + this.#successes
    const state = this.#state
    if (state.kind === 'closed') return { state: 'closed', probeAtWall: 0, successes, failures }
    const probeAt = state.kind === 'open' ? state.probeAt : this.#clock.now()
    return { state: state.kind, probeAtWall: this.#clock.wallNow() + probeAt - this.#clock.now(), successes, failures }
  }

  #count(outcome: 'success' | 'failure'): void {
    if (this.#now() !== this.#tick) this.#turn()
    if (outcome === 'success') {
      this.#successes++
      return
    }
    this.#handOver()
    // The rejection is opossum's way of telling a caller; there is none here.
    this.#opossum.fire().catch(() => {})
    this.#bucket.latencyTimes.length = 0
    if (this.#opossum.opened) this.#open()
  }

  #settleProbe(outcome: BreakerOutcome): void {
    if (outcome === 'failure') {
      this.#open()
    } else if (outcome === 'success') {
      this.#opossum.close()
      this.#clear()
      this.#change(closed)
    } else {
      this.#change({ kind: 'open', probeAt: this.#clock.now() })
    }
  }

  #open(): void {
    this.#change({ kind: 'open', probeAt: this.#clock.now() + this.#openMs })
  }

  #change(state: BreakerState): void {
    const { kind } = this.#state
    this.#state = state
    this.#generation++
    if (state.kind !== kind) this.#onChange(state.kind)
  }

  #restore({ state, probeAtWall, successes, failures }: BreakerSnapshot): void {
    this.#bucket.fires = successes + failures
    this.#bucket.successes = successes
    this.#bucket.failures = failures
    if (state === 'closed') return
    // A probe that was under way elsewhere is lost; a clock that was set back must not keep it open for longer than it would have been.
    const waitMs = Math.min(Math.max(0, probeAtWall - this.#clock.wallNow()), this.#openMs)
    this.#opossum.open()
    this.#state = { kind: 'open', probeAt: this.#clock.now() + waitMs }
  }

  /** Gives opossum the successes it has not been told of. */
  #handOver(): void {
    this.#bucket.fires += this.#successes
    this.#bucket.successes += this.#successes
    this.#successes = 0
  }

  /** Turns the window to now. */
  #turn(): void {
    this.#handOver()
    const now = this.#now()
    for (let turns = Math.min(now - this.#tick, bucketCount); turns > 0; turns--) this.#rotation.emit('rotate')
    this.#tick = now
    this.#bucket = this.#currentBucket()
  }

  #clear(): void {
    this.#successes = 0
    for (let turns = 0; turns < bucketCount; turns++) this.#rotation.emit('rotate')
    this.#tick = this.#now()
    this.#bucket = this.#currentBucket()
  }

  #now(): number {
    return Math.floor(this.#clock.now() / this.#bucketMs)
  }

  #currentBucket(): CircuitBreaker.Bucket {
    const [bucket] = this.#opossum.status.window
    if (bucket === undefined) throw new Error('opossum has no window')
    return bucket
  }
}
