import type { FractionalPercent } from './fraction.ts'

/** `RouteAction.RequestMirrorPolicy`, decoded. */
export interface MirrorPolicy {
  readonly cluster: string
  readonly fraction: FractionalPercent
  /** Leave `-shadow` off the Host header. */
  readonly disableHostSuffix: boolean
}
