export type { ExplainedEndpoint, ExplainRequest, Explanation } from './client/explain.ts'
export type { GivenProviders } from './client/find-identities.ts'
export type { OutboundPolicy } from './client/http/mesh-dispatcher.ts'
export { createMesh, type Mesh, type MeshLimits, type MeshOptions } from './client/mesh.ts'
export type { EjectionEvent, HealthEvent, MeshEventListener, MeshEventMap, MeshEventName } from './client/mesh-events.ts'
export type { MeshSnapshot } from './client/mesh-snapshot.ts'
export type { ConfigSource, MeshConfig } from './discovery/model/mesh-config.ts'
export { isMeshError, MeshError, type MeshErrorCode, type MeshErrorDetails } from './errors.ts'
export type { ErrorRateBreakerOptions } from './policies/error-rate-breaker.ts'
export type {
  BalancedHost,
  BalancedRequest,
  LoadBalancer,
  LoadBalancerFactory,
  LoadBalancerSettings,
} from './policies/load-balancing/custom.ts'
export type { AuditEvent, AuditLogger, AuditLoggerFactory, AuditLoggerSettings } from './policies/rbac/audit-logger.ts'
export type { TokenRetryBudgetOptions } from './policies/retry-budget.ts'
export { type Clock, type Logger, type Random, type Runtime, silentLogger, stderrLogger, systemRuntime } from './runtime.ts'
export type { CertificateProvider, WorkloadIdentity } from './security/certificate-provider.ts'
export type { TrustBundle, TrustBundles } from './security/trust-bundle.ts'
export type { X509Svid } from './security/x509-svid.ts'
export type { GrpcWorkload, ServeGrpcOptions } from './server/grpc-server.ts'
export type { DrainOptions, MeshServer } from './server/mesh-server.ts'
export type { Outcome } from './telemetry/outcome.ts'
export type { ResponseFlag } from './telemetry/response-flag.ts'
export type { Telemetry } from './telemetry/telemetry.ts'
