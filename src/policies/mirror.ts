import { withoutPort } from './domain-table.ts'
import { type FractionalPercent, isSelected } from './fraction.ts'

/** `RouteAction.RequestMirrorPolicy`, decoded. */
export interface MirrorPolicy {
  readonly cluster: string
  readonly fraction: FractionalPercent
  /** Leave `-shadow` off the Host header. */
  readonly disableHostSuffix: boolean
}

/** Whether a request is to be mirrored: decided once, however often the request itself is retried. */
export function isMirrored(policy: MirrorPolicy, random: number): boolean {
  return isSelected(policy.fraction, random)
}

/** The `Host` of a mirrored request: `-shadow` after the name and before the port, unless that is disabled. */
export function mirrorAuthority(policy: MirrorPolicy, authority: string): string {
  if (policy.disableHostSuffix) return authority
  const host = withoutPort(authority)
  return `${host}-shadow${authority.slice(host.length)}`
}
