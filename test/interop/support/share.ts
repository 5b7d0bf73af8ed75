import assert from 'node:assert/strict'

/** Counts equal answers. */
export function tally(answers: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1)
  return counts
}

/** Fails unless `count` of `total` is what `share` of them would be, within five standard deviations. */
export function assertShare(count: number, total: number, share: number): void {
  const expected = total * share
  const tolerance = 5 * Math.sqrt(total * share * (1 - share))
  assert.ok(Math.abs(count - expected) <= tolerance, `${count} of ${total}, expected ${expected} ± ${tolerance.toFixed(1)}`)
}
