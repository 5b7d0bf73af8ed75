import type { FractionalPercent } from './fraction.ts'
import type { HeaderMatcher } from './header-matcher.ts'

/** `envoy.extensions.filters.http.fault.v3.HTTPFault`, decoded. */
export interface FaultConfig {
  readonly delay:
    | { readonly fixedDelayMs: number | undefined; readonly fromHeader: boolean; readonly percentage: FractionalPercent }
    | undefined
  readonly abort:
    | {
        readonly httpStatus: number | undefined
        readonly grpcStatus: number | undefined
        readonly fromHeader: boolean
        readonly percentage: FractionalPercent
      }
    | undefined
  readonly headers: readonly HeaderMatcher[]
  readonly upstreamCluster: string
  readonly maxActiveFaults: number
}
