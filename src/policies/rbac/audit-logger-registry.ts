import type { AuditLoggerFactory } from './audit-logger.ts'
import { stdoutAuditLoggerFactory } from './stdout-audit-logger.ts'

const factories = new Map<string, AuditLoggerFactory>([[stdoutAuditLoggerFactory.type, stdoutAuditLoggerFactory]])

/** Makes a type of audit loggers known to this process, as gRPC does (gRFC A59); of two with the same type the last one counts. */
export function registerAuditLogger(factory: AuditLoggerFactory): void {
  factories.set(factory.type, factory)
}

/** The factory of a type; `undefined`: it is not supported. */
export function auditLoggerFactory(type: string): AuditLoggerFactory | undefined {
  return factories.get(type)
}
