import { type Clock, systemClock } from '../../runtime.ts'
import type { AuditEvent, AuditLogger, AuditLoggerFactory } from './audit-logger.ts'

/** Where lines go. */
export interface LineOutput {
  write(line: string): unknown
}

/** Writes each decision to standard output as a line of JSON, in the form of gRFC A59. No line is held back: none is lost. */
export class StdoutAuditLogger implements AuditLogger {
  readonly #clock: Clock
  readonly #output: LineOutput

  constructor(clock: Clock, output: LineOutput) {
    this.#clock = clock
    this.#output = output
  }

  log({ rpcMethod, principal, policyName, matchedRule, authorized }: AuditEvent): void {
    const entry = {
      timestamp: new Date(this.#clock.wallNow()).toISOString(),
      rpc_method: rpcMethod,
      principal,
      policy_name: policyName,
      matched_rule: matchedRule,
      authorized,
    }
    this.#output.write(`${JSON.stringify({ grpc_audit_log: entry })}\n`)
  }
}

/** The logger that is built in; it has no configuration. */
export const stdoutAuditLoggerFactory: AuditLoggerFactory = {
  type: 'envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog',
  create: () => new StdoutAuditLogger(systemClock, process.stdout),
}
