import { failureCases } from './failure-cases.ts'
import { routingCases } from './routing-cases.ts'
import type { XdsClientCase } from './xds-client-case.ts'

/** The table that every gRPC client by xDS is asked of. */
export const xdsClientCases: readonly XdsClientCase[] = [...routingCases, ...failureCases]
