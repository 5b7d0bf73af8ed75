import type { AuditCondition, AuditLoggerConfig, AuditLogging } from '../../policies/rbac/audit-logger.ts'
import { auditLoggerFactory } from '../../policies/rbac/audit-logger-registry.ts'
import type { RBAC_AuditLoggingOptions, RBAC_AuditLoggingOptions_AuditLoggerConfig } from '../gen/envoy/config/rbac/v3/rbac_pb.ts'
import { RBAC_AuditLoggingOptions_AuditCondition as Condition } from '../gen/tables.ts'
import { stdoutAuditLogType } from '../message-types.ts'
import { readTypedConfig, structOf } from './any.ts'
import type { Problems } from './problems.ts'

const conditions: Readonly<Record<number, AuditCondition>> = {
  [Condition.NONE]: 'NONE',
  [Condition.ON_DENY]: 'ON_DENY',
  [Condition.ON_ALLOW]: 'ON_ALLOW',
  [Condition.ON_DENY_AND_ALLOW]: 'ON_DENY_AND_ALLOW',
}

/**
 * Decodes `RBAC.audit_logging_options` (gRFC A59). A logger of a type that is not supported is left out where it is optional; what is wrong with
 * one that is supported is an error all the same.
 */
export function decodeAuditLogging(message: RBAC_AuditLoggingOptions, problems: Problems): AuditLogging {
  // Protocol buffers keep numbers that the enum lacks.
  const condition: AuditCondition | undefined = conditions[message.auditCondition]
  if (condition === undefined) problems.addAt('audit_condition', `is none that is known: ${message.auditCondition}`)
  const loggers = message.loggerConfigs.flatMap(
    (config, index) => decodeLogger(config, problems.at('logger_configs', index)) ?? [],
  )
  return { condition: condition ?? 'NONE', loggers }
}

function decodeLogger(
  { auditLogger, isOptional }: RBAC_AuditLoggingOptions_AuditLoggerConfig,
  problems: Problems,
): AuditLoggerConfig | undefined {
  const any = auditLogger?.typedConfig
  if (any === undefined) {
    problems.addAt('audit_logger.typed_config', 'must be set')
    return undefined
  }
  const { type } = readTypedConfig(any)
  const config = type === stdoutAuditLogType.typeName ? {} : structOf(any)
  const factory = auditLoggerFactory(type)
  // Nobody but its own maker can read a message.
  if (factory === undefined || config === undefined) {
    if (!isOptional) problems.add(`audit logger of type "${type}" is not supported and not optional`)
    return undefined
  }
  try {
    factory.check?.(config)
    return { type, config }
  } catch (error) {
    problems.addAt('audit_logger.typed_config', error instanceof Error ? error.message : String(error))
    return undefined
  }
}
