import type { X509Certificate } from 'node:crypto'
import type { Random } from '../runtime.ts'

/** Share of the lifetime after which a certificate is renewed. */
const renewAt = 0.5
/** ± of it, so that workloads that started together do not come back together. */
const jitter = 0.1
const shortestMs = 1_000

/**
 * How long to wait until a new certificate is renewed: half of what it has to live, ±10 % of it; at least a second. Authorities date
 * certificates back for clocks that are behind, so that what is past does not count.
 *
 * @param now wall-clock milliseconds
 */
export function renewalDelayMs({ validFrom, validTo }: X509Certificate, now: number, random: Random): number {
  const from = Math.max(Date.parse(validFrom), now)
  const lifetime = Date.parse(validTo) - from
  const at = from + lifetime * (renewAt + jitter * (2 * random() - 1))
  return Math.max(shortestMs, at - now)
}

/** How near its end a certificate is. */
export type ExpiryStage = 'fresh' | 'a quarter left' | 'a tenth left' | 'expired'

/**
 * The stage at `now`, in wall-clock milliseconds.
 *
 * @param since when its life begins: when it was issued, where that is known, for authorities date certificates back
 */
export function expiryStage({ validFrom, validTo }: X509Certificate, now: number, since = Date.parse(validFrom)): ExpiryStage {
  const end = Date.parse(validTo)
  if (now >= end) return 'expired'
  const left = (end - now) / (end - since)
  return left <= 0.1 ? 'a tenth left' : left <= 0.25 ? 'a quarter left' : 'fresh'
}

/** How long until the stage changes; `undefined` after the last. */
export function nextStageDelayMs(
  { validFrom, validTo }: X509Certificate,
  now: number,
  since = Date.parse(validFrom),
): number | undefined {
  const end = Date.parse(validTo)
  const lifetime = end - since
  const next = [0.25, 0.1, 0].map(left => end - lifetime * left).find(at => at > now)
  return next === undefined ? undefined : next - now
}
