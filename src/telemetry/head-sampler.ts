type Environment = Readonly<Record<string, string | undefined>>

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name, asked before any span is made. It decides as the SDK's does for
 * the same trace id.
 */
export class HeadSampler {
  readonly #root: 'on' | 'off' | 'ratio'
  readonly #followsParent: boolean
  readonly #upperBound: number

  /** @param ratio share of the traces that begin here, 0 to 1 */
  constructor(root: 'on' | 'off' | 'ratio', followsParent: boolean, ratio = 1) {
    this.#root = root
    this.#followsParent = followsParent
    this.#upperBound = ratio >= 1 ? 4_294_967_296 : Math.floor(Math.max(0, ratio) * 4_294_967_295)
  }

  /** The sampler of an environment; `parentbased_always_on` when it names none, or one that does not exist. */
  static fromEnvironment(env: Environment): HeadSampler {
    const name = env.OTEL_TRACES_SAMPLER?.trim()
    const followsParent = name === undefined || name === '' || name.startsWith('parentbased_')
    switch (name) {
      case 'always_off':
      case 'parentbased_always_off':
        return new HeadSampler('off', followsParent)
      case 'traceidratio':
      case 'parentbased_traceidratio':
        return new HeadSampler('ratio', followsParent, ratioOf(env.OTEL_TRACES_SAMPLER_ARG))
      case 'always_on':
        return new HeadSampler('on', false)
      default:
        return new HeadSampler('on', true)
    }
  }

  /**
   * Whether a span of the trace `traceId` is recorded below a parent.
   *
   * @param parentSampled whether the parent is
   */
  decideBelow(parentSampled: boolean, traceId: string): boolean {
    return this.#followsParent ? parentSampled : this.decideRoot(this.#root === 'ratio' ? crossedWords(traceId) : 0)
  }

  /**
   * Whether the trace that begins here is recorded.
   *
   * @param crossed the words of its id, each crossed with the others: see {@link crossedWords}
   */
  decideRoot(crossed: number): boolean {
    return this.#root === 'ratio' ? crossed < this.#upperBound : this.#root === 'on'
  }
}

function ratioOf(text: string | undefined): number {
  const ratio = text === undefined || text.trim() === '' ? 1 : Number(text)
  return ratio >= 0 && ratio <= 1 ? ratio : 1
}

/** What `TraceIdRatioBasedSampler` of the SDK compares with its bound: the four words of the id, each crossed with the others. */
export function crossedWords(traceId: string): number {
  let accumulated = 0
  for (let word = 0; word < 32; word += 8) {
    let part = 0
    for (let digit = word; digit < word + 8; digit++) {
      const code = traceId.charCodeAt(digit)
      part = (part << 4) | (code < 58 ? code - 48 : code - 87)
    }
    accumulated = (accumulated ^ part) >>> 0
  }
  return accumulated
}
