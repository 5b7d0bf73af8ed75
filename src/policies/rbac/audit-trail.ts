import type { AuditCondition, AuditLogger, AuditLogging } from './audit-logger.ts'
import { auditLoggerFactory } from './audit-logger-registry.ts'
import type { InboundAttributes } from './inbound-attributes.ts'
import type { RbacVerdict } from './rbac-engine.ts'

const onAllow: ReadonlySet<AuditCondition> = new Set(['ON_ALLOW', 'ON_DENY_AND_ALLOW'])
const onDeny: ReadonlySet<AuditCondition> = new Set(['ON_DENY', 'ON_DENY_AND_ALLOW'])

/** Tells the audit loggers of one filter what they are to hear of (gRFC A59). */
export class AuditTrail {
  readonly #filterName: string
  readonly #condition: AuditCondition
  readonly #loggers: readonly AuditLogger[]

  /** @throws Error when a logger is of a type that nobody makes */
  constructor(filterName: string, { condition, loggers }: AuditLogging) {
    this.#filterName = filterName
    this.#condition = condition
    this.#loggers = loggers.map(({ type, config }) => {
      const factory = auditLoggerFactory(type)
      if (factory === undefined) throw new Error(`no audit logger of the type "${type}" is registered`)
      return factory.create(config)
    })
  }

  /** Every logger hears of it, whatever another one throws. Returns what was thrown first. */
  record({ allowed, policyName }: RbacVerdict, request: InboundAttributes): string | undefined {
    if (this.#loggers.length === 0 || !(allowed ? onAllow : onDeny).has(this.#condition)) return undefined
    const event = {
      rpcMethod: request.path,
      principal: request.peer.principals[0] ?? '',
      policyName: this.#filterName,
      matchedRule: policyName ?? '',
      authorized: allowed,
    }
    let failure: string | undefined
    for (const logger of this.#loggers) {
      try {
        logger.log(event)
      } catch (error) {
        failure ??= error instanceof Error ? error.message : String(error)
      }
    }
    return failure
  }
}
