/** When the decisions of a filter are audited: `AuditLoggingOptions.AuditCondition` (gRFC A59). Of decisions, not of actions. */
export type AuditCondition = 'NONE' | 'ON_DENY' | 'ON_ALLOW' | 'ON_DENY_AND_ALLOW'

/** `envoy.config.rbac.v3.RBAC.AuditLoggingOptions`. */
export interface AuditLogging {
  readonly condition: AuditCondition
  /** Each hears of every decision that meets the condition. */
  readonly loggers: readonly AuditLoggerConfig[]
}

/** `AuditLoggerConfig`, of a logger that is supported. */
export interface AuditLoggerConfig {
  /** That of its {@link AuditLoggerFactory}. */
  readonly type: string
  readonly config: AuditLoggerSettings
}

/** The fields of a logger's configuration, as JSON. */
export type AuditLoggerSettings = { readonly [field: string]: unknown }

/** One decision of an authorization filter of a server. What the application answers later is not known yet. */
export interface AuditEvent {
  /** The path without its query; of gRPC `/package.Service/Method`. */
  readonly rpcMethod: string
  /** Who calls, by certificate; empty: nobody is known. */
  readonly principal: string
  /** Of the filter. */
  readonly policyName: string
  /** The policy that matched; empty: none did. */
  readonly matchedRule: string
  readonly authorized: boolean
}

/** Hears of decisions. */
export interface AuditLogger {
  /** Called before the request goes on: returns at once. What it throws is told to the operator, and changes nothing for the request. */
  log(event: AuditEvent): void
}

/** Makes the audit loggers of one type (gRFC A59). */
export interface AuditLoggerFactory {
  /** What the type URL of a `TypedStruct` ends with, such as `example.AuditLog`. */
  readonly type: string
  /**
   * Checks a configuration before anything is done with it. Default: everything is right.
   *
   * @throws Error what is wrong with it: the listener is refused
   */
  check?(config: AuditLoggerSettings): void
  /** Makes a logger of a configuration that was checked. One is made for each route and each change of configuration. */
  create(config: AuditLoggerSettings): AuditLogger
}
