/** A root as the rotation sees it. */
export interface RootRecord {
  /** SHA-256 of its SPKI, base64url. */
  readonly pin: string
  readonly certificatePem: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** End of the last leaf that it signed, or later. 0 before the first. */
  readonly lastLeafNotAfterMs: number
}

/** A root that clients are told of before it signs. */
export interface NextRoot extends RootRecord {
  readonly publishedAtMs: number
  /** The first bundle that has it. */
  readonly bundleVersion: number
}

/** Where the rotation stands. One of the roots signs; clients trust all of them. */
export interface RotationState {
  /** Grows with each change of the set of roots: `spiffe_sequence`. */
  readonly bundleVersion: number
  readonly signing: RootRecord
  readonly next: NextRoot | undefined
  /** Roots that sign no more and have leaves in use. */
  readonly retired: readonly RootRecord[]
}

/** What the next step depends on. */
export interface RotationConditions {
  readonly nowMs: number
  /** Whether a rotation was asked for. */
  readonly requested: boolean
  /** How long the next root is published at least before it signs. */
  readonly minOverlapMs: number
  /** Whether every connected client acknowledged the bundle of this version or a later one. */
  acknowledged(bundleVersion: number): boolean
}

/** What is due. */
export type RotationStep = 'none' | 'prepare' | 'activate' | 'prune'

/** After the last leaf a root stays for this long, for clients whose clock runs behind. */
const pruneDelayMs = 10 * 60_000

/**
 * The step that is due now. A root is published, signs once all clients trust it, retires when the next one takes over, and is pruned
 * when the last leaf under it has expired. A root rotates on request and at half of its life.
 */
export function nextStep(state: RotationState, conditions: RotationConditions): RotationStep {
  const { nowMs } = conditions
  if (state.retired.some(root => isSpent(root, nowMs))) return 'prune'
  const { signing, next } = state
  if (next) {
    // With an expired root nothing is left to wait for.
    if (nowMs >= signing.notAfterMs) return 'activate'
    const overlapped = nowMs >= next.publishedAtMs + conditions.minOverlapMs
    return overlapped && conditions.acknowledged(next.bundleVersion) ? 'activate' : 'none'
  }
  const halfLifeMs = (signing.notBeforeMs + signing.notAfterMs) / 2
  return conditions.requested || nowMs >= halfLifeMs ? 'prepare' : 'none'
}

/** Step `prepare`: the bundle has both roots, the old one signs. */
export function prepared(
  state: RotationState,
  root: Omit<RootRecord, 'lastLeafNotAfterMs'>,
  publishedAtMs: number,
): RotationState {
  const bundleVersion = state.bundleVersion + 1
  return { ...state, bundleVersion, next: { ...root, lastLeafNotAfterMs: 0, publishedAtMs, bundleVersion } }
}

/** Step `activate`: the next root signs. The bundle stays as it is. */
export function activated(state: RotationState): RotationState {
  if (!state.next) return state
  const { publishedAtMs: _, bundleVersion: __, ...signing } = state.next
  return { ...state, signing, next: undefined, retired: [...state.retired, state.signing] }
}

/** Step `prune`: roots without leaves in use leave the bundle. */
export function pruned(state: RotationState, nowMs: number): RotationState {
  const retired = state.retired.filter(root => !isSpent(root, nowMs))
  return { ...state, bundleVersion: state.bundleVersion + 1, retired }
}

/** The bundle: every root, the one that signs last. */
export function bundleOf({ signing, next, retired }: RotationState): readonly RootRecord[] {
  return [...retired, ...(next ? [next] : []), signing]
}

function isSpent({ lastLeafNotAfterMs, notAfterMs }: RootRecord, nowMs: number): boolean {
  return nowMs >= Math.min(lastLeafNotAfterMs, notAfterMs) + pruneDelayMs
}
