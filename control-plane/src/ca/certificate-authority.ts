import type { Clock, Logger } from '../runtime.ts'
import { type CaState, formatCaState, parseCaState, type RevokedCertificate } from './ca-state.ts'
import type { CaStore } from './ca-store.ts'
import { clockSkewMs } from './certificate-fields.ts'
import { issuanceRecord, type Requester } from './issuance-record.ts'
import { signLeaf } from './leaf-certificate.ts'
import { activated, bundleOf, nextStep, prepared, pruned, type RootRecord, type RotationState } from './root-rotation.ts'
import { SigningRoot } from './signing-root.ts'
import { isTrustDomain, parseSpiffeId } from './spiffe-id.ts'
import { TokenBucket } from './token-bucket.ts'
import type { TrustBundle } from './trust-bundle.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** How old the stored time of the last issuance may be: what a jump of the clock across a restart can hide. */
const stateLagMs = 60_000
/** The stored end of the last leaf runs this far ahead, so that it is written once an hour and not for each leaf. */
const leafMarginMs = hourMs

/** Options of {@link CertificateAuthority.open}. */
export interface CertificateAuthorityOptions {
  /** `[a-z0-9._-]`, at most 255. Cannot change over the life of a store. */
  readonly trustDomain: string
  readonly store: CaStore
  readonly clock: Clock
  readonly logger: Logger
  /** Life of a root. Default 10 years. */
  readonly rootLifetimeMs?: number
  /** Life of a leaf that asks for none. Default 24 h. */
  readonly defaultTtlMs?: number
  /** Longest life of a leaf. Default 90 days. */
  readonly maxTtlMs?: number
  /** Leaves a second, and as many at once. Default 100, about a third of what one core signs. */
  readonly issuancesPerSecond?: number
}

/** What a leaf is issued for. */
export interface IssueRequest extends Requester {
  /** From authentication, never from the caller's request. */
  readonly spiffeId: string
  /** SPKI, DER, of a request whose sender proved to hold the private key. */
  readonly publicKey: Uint8Array
  /** Clamped to the longest there is; 0 and less take the default. */
  readonly ttlMs: number
  /** For the control plane's own certificate. */
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
}

/** An issued leaf. */
export interface IssuedCertificate {
  readonly spiffeId: string
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** PEM of the leaf. */
  readonly certificate: string
  /** PEM of the root that signed it. */
  readonly root: string
  /** The bundle at that moment. */
  readonly bundle: TrustBundle
}

/** More leaves are asked for than the limit allows. */
export class IssuanceLimitError extends Error {}

/** The clock runs behind the last issuance, or beyond the root. Nothing is signed until it is right again. */
export class ClockError extends Error {}

/** The certificate authority of a trust domain: signs leaves directly from its root, and replaces the root when it is time. */
export class CertificateAuthority {
  readonly trustDomain: string
  readonly #options: CertificateAuthorityOptions
  readonly #limit: TokenBucket
  readonly #listeners = new Set<(bundle: TrustBundle) => void>()
  #state: CaState
  #signing: SigningRoot
  /** Signs after the next `activate`. */
  #next: SigningRoot | undefined
  #storedIssuedAtMs: number
  /** The last write of the state. */
  #writing: Promise<void> = Promise.resolve()
  /** What is on the disk is older than it may be: nothing is signed and no step is taken until it is written. */
  #isUnsaved = false
  #stepping: Promise<unknown> = Promise.resolve()
  #requested = false

  private constructor(options: CertificateAuthorityOptions, state: CaState, signing: SigningRoot, next: SigningRoot | undefined) {
    this.trustDomain = options.trustDomain
    this.#options = options
    this.#state = state
    this.#storedIssuedAtMs = state.lastIssuedAtMs
    this.#signing = signing
    this.#next = next
    const perSecond = options.issuancesPerSecond ?? 100
    this.#limit = new TokenBucket(options.clock, perSecond, perSecond)
  }

  /**
   * Reads the authority from its store, or founds it.
   *
   * @throws when the stored one is for another trust domain or cannot be read whole
   */
  static async open(options: CertificateAuthorityOptions): Promise<CertificateAuthority> {
    const { trustDomain, store, clock } = options
    if (!isTrustDomain(trustDomain)) throw new Error(`${JSON.stringify(trustDomain)} is not a trust domain`)
    const document = await store.readDocument('ca')
    if (document !== undefined) {
      const state = parseCaState(document)
      if (state.trustDomain !== trustDomain)
        throw new Error(`the stored certificate authority is that of ${state.trustDomain}, not of ${trustDomain}`)
      const { signing, next } = state.rotation
      const roots = [await restoreRoot(store, signing), next && (await restoreRoot(store, next))] as const
      return new CertificateAuthority(options, state, ...roots)
    }
    const root = await SigningRoot.create(trustDomain, clock.wallNow(), options.rootLifetimeMs ?? 3650 * dayMs)
    const rotation = { bundleVersion: 1, signing: recordOf(root), next: undefined, retired: [] }
    const state = { trustDomain, rotation, lastIssuedAtMs: 0, revoked: [] }
    await store.writeKey(keyName(root), root.exportKey())
    await store.writeDocument('ca', formatCaState(state))
    return new CertificateAuthority(options, state, root, undefined)
  }

  /** The roots that clients must trust now. */
  get bundle(): TrustBundle {
    const { rotation } = this.#state
    const roots = bundleOf(rotation).map(({ certificatePem }) => certificatePem)
    return { trustDomain: this.trustDomain, version: rotation.bundleVersion, roots }
  }

  /** SHA-256 of the SPKI of the root that signs, base64url. */
  get pin(): string {
    return this.#signing.pin
  }

  /** Where the replacement of the root stands. */
  get rotation(): RotationState {
    return this.#state.rotation
  }

  /** Calls after each change of the bundle or of the root that signs. Returns the way to stop it. */
  onChange(listener: (bundle: TrustBundle) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Throws what {@link issue} would throw now for reasons that are not the caller's: before a one-time proof is spent in vain. */
  requireReady(): void {
    this.#requireClock()
    if (!this.#limit.available) throw new IssuanceLimitError('too many certificates are asked for')
  }

  /**
   * Issues a leaf and writes it down.
   *
   * @throws {IssuanceLimitError} beyond the limit
   * @throws {ClockError} when the clock cannot be right
   */
  async issue(request: IssueRequest): Promise<IssuedCertificate> {
    const id = parseSpiffeId(request.spiffeId)
    if (!id?.path || id.trustDomain !== this.trustDomain)
      throw new Error(`${JSON.stringify(request.spiffeId)} is no identity of ${this.trustDomain}`)
    const nowMs = this.#requireClock()
    if (!this.#limit.take()) throw new IssuanceLimitError('too many certificates are asked for')
    const root = this.#signing
    const { bundle } = this
    const notBeforeMs = Math.max(nowMs - clockSkewMs, root.notBeforeMs)
    const notAfterMs = Math.min(nowMs + this.#ttlMs(request.ttlMs), root.notAfterMs)
    const stored = this.#recordIssuance(root.pin, nowMs, notAfterMs)
    const [{ pem, serial }] = await Promise.all([signLeaf(root, { ...request, notBeforeMs, notAfterMs }), stored])
    const { spiffeId } = request
    const issued = { spiffeId, serial, notBeforeMs, notAfterMs, certificate: pem, root: root.certificatePem, bundle }
    await this.#options.store.appendLine('issuance', issuanceRecord(issued, request, nowMs))
    return issued
  }

  /** Whether a certificate was revoked. */
  isRevoked(serial: string): boolean {
    return this.#state.revoked.some(entry => entry.serial === serial.toLowerCase())
  }

  /** Stops accepting a certificate of this authority for renewal and for connections to the control plane. */
  async revoke(serial: string): Promise<void> {
    const nowMs = this.#options.clock.wallNow()
    const entry: RevokedCertificate = {
      serial: serial.toLowerCase(),
      // Nothing that was issued until now lasts longer.
      notAfterMs: nowMs + (this.#options.maxTtlMs ?? 90 * dayMs),
    }
    const others = this.#state.revoked.filter(known => known.serial !== entry.serial && known.notAfterMs > nowMs)
    await this.#save({ ...this.#state, revoked: [...others, entry] })
    this.#tell()
  }

  /** Asks for a new root. It is published at the next {@link advanceRotation} and signs when clients have it. */
  requestRotation(): void {
    if (!this.#state.rotation.next) this.#requested = true
  }

  /**
   * Takes every step of the rotation that is due, and writes each down before the next.
   *
   * @param acknowledged whether every connected client has the bundle of this version or a later one
   * @param minOverlapMs how long a root is published at least before it signs
   */
  advanceRotation(acknowledged: (bundleVersion: number) => boolean, minOverlapMs: number): Promise<void> {
    const done = this.#stepping.then(() => this.#advance(acknowledged, minOverlapMs))
    this.#stepping = done.catch(() => {})
    return done
  }

  async #advance(acknowledged: (bundleVersion: number) => boolean, minOverlapMs: number): Promise<void> {
    if (this.#isUnsaved) {
      // The step that could not be written is finished before the next.
      await this.#write()
      await this.#deleteRetiredKeys()
      this.#tell()
    }
    for (;;) {
      const nowMs = this.#options.clock.wallNow()
      const conditions = { nowMs, requested: this.#requested, minOverlapMs, acknowledged }
      const step = nextStep(this.#state.rotation, conditions)
      if (step === 'none') return
      if (step === 'prepare') await this.#prepare(nowMs)
      else if (step === 'activate') await this.#activate()
      else await this.#setRotation(pruned(this.#state.rotation, nowMs))
      const { pin, rotation } = this
      this.#options.logger.info(`root rotation: ${step}`, { signing: pin, bundleVersion: rotation.bundleVersion })
      this.#tell()
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      try {
        listener(this.bundle)
      } catch (error) {
        // The others must hear of it: a root may be gone, or a certificate revoked.
        this.#options.logger.error('a change of the bundle could not be taken over', { error: String(error) })
      }
    }
  }

  async #prepare(nowMs: number): Promise<void> {
    const root = await SigningRoot.create(this.trustDomain, nowMs, this.#options.rootLifetimeMs ?? 3650 * dayMs)
    await this.#options.store.writeKey(keyName(root), root.exportKey())
    // With the state and not after it is written: a state that names the next root must have it.
    this.#next = root
    this.#requested = false
    await this.#setRotation(prepared(this.#state.rotation, recordOf(root), nowMs))
  }

  async #activate(): Promise<void> {
    if (!this.#next) return
    // With the state and not after it is written: a leaf signed meanwhile must count for the root that signed it.
    this.#signing = this.#next
    this.#next = undefined
    await this.#setRotation(activated(this.#state.rotation))
    await this.#deleteRetiredKeys()
  }

  /** They sign no more, so that nothing can be stolen. */
  async #deleteRetiredKeys(): Promise<void> {
    for (const root of this.#state.rotation.retired) await this.#options.store.deleteKey(keyName(root))
  }

  #ttlMs(asked: number): number {
    const { defaultTtlMs = dayMs, maxTtlMs = 90 * dayMs } = this.#options
    return Math.min(asked > 0 ? asked : defaultTtlMs, maxTtlMs)
  }

  #requireClock(): number {
    const nowMs = this.#options.clock.wallNow()
    if (nowMs < this.#state.lastIssuedAtMs) throw new ClockError('the clock is behind the last issuance')
    if (nowMs < this.#signing.notBeforeMs) throw new ClockError('the clock is before the root')
    if (nowMs >= this.#signing.notAfterMs) throw new ClockError('the root has expired')
    return nowMs
  }

  /** Marks the time in memory at once, and on the disk when what is there is too old. */
  async #recordIssuance(pin: string, nowMs: number, notAfterMs: number): Promise<void> {
    const before = this.#state
    const { rotation } = before
    const extend = (root: RootRecord) =>
      root.pin === pin && notAfterMs > root.lastLeafNotAfterMs ? { ...root, lastLeafNotAfterMs: notAfterMs + leafMarginMs } : root
    const signing = extend(rotation.signing)
    this.#state = { ...before, lastIssuedAtMs: nowMs, rotation: { ...rotation, signing } }
    const isOld = signing !== rotation.signing || nowMs >= this.#storedIssuedAtMs + stateLagMs
    // A write that is on its way may be of what this one stands on.
    await (isOld || this.#isUnsaved ? this.#write() : this.#writing)
  }

  async #setRotation(rotation: RotationState): Promise<void> {
    await this.#save({ ...this.#state, rotation })
  }

  async #save(state: CaState): Promise<void> {
    this.#state = state
    await this.#write()
  }

  #write(): Promise<void> {
    const state = this.#state
    this.#storedIssuedAtMs = state.lastIssuedAtMs
    const write = this.#options.store.writeDocument('ca', formatCaState(state)).then(
      () => {
        if (state === this.#state) this.#isUnsaved = false
      },
      error => {
        this.#isUnsaved = true
        throw error
      },
    )
    this.#writing = write
    write.catch(() => {})
    return write
  }
}

const keyName = ({ pin }: { readonly pin: string }) => `root-${pin}`

const recordOf = ({ pin, certificatePem, notBeforeMs, notAfterMs }: SigningRoot): RootRecord => ({
  pin,
  certificatePem,
  notBeforeMs,
  notAfterMs,
  lastLeafNotAfterMs: 0,
})

async function restoreRoot(store: CaStore, record: RootRecord): Promise<SigningRoot> {
  const pem = await store.readKey(keyName(record))
  if (pem === undefined) throw new Error(`the key of the root ${record.pin} is missing`)
  return SigningRoot.restore(record.certificatePem, pem)
}
