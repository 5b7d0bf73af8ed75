/** `envoy.type.v3.FractionalPercent`. Matches when `floor(random * denominator) < numerator`. */
export interface FractionalPercent {
  readonly numerator: number
  readonly denominator: 100 | 10_000 | 1_000_000
}

/** Whether a uniform `random` in `[0, 1)` falls into the fraction (strictly below it, as Envoy's `evaluateFractionalPercent`). */
export function isSelected(fraction: FractionalPercent, random: number): boolean {
  return Math.floor(random * fraction.denominator) < fraction.numerator
}
