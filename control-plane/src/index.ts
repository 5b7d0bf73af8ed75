export { CertificateAuthority, type CertificateAuthorityOptions, type IssuedCertificate } from './ca/certificate-authority.ts'
export { Passphrase, PassphraseError } from './ca/passphrase.ts'
export { SecureEndpoint, type SecureEndpointOptions, type ServiceAccountOptions } from './ca/secure-endpoint.ts'
export type { TrustBundle } from './ca/trust-bundle.ts'
export type { Configuration } from './configuration.ts'
export { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts'
export { DiscoveryService, type DiscoveryServiceOptions, type SecureOptions } from './discovery-service.ts'
export { BadConfigurationError } from './file-configuration.ts'
export type { RegisteredWorkload, WorkloadLocality } from './registry/registered-workload.ts'
export { type StoredRegistration, WorkloadRegistry, type WorkloadRegistryOptions } from './registry/workload-registry.ts'
export { type Clock, type Logger, type Runtime, silentLogger, systemClock, type Timer } from './runtime.ts'
export { formatProblem, type Problem } from './sources/problem.ts'
export {
  AdsServer,
  type AdsServerOptions,
  type ResourceSource,
  type StreamObserver,
  type ViewResources,
} from './xds/ads-server.ts'
export type { ClientStatus, TypeStatus } from './xds/client-status.ts'
export { GrpcServer, type GrpcServerOptions } from './xds/grpc-server.ts'
export type { LoadCount, LoadReport, LocalityLoadReport } from './xds/load-report.ts'
export { LoadReportingServer, type LoadReportingServerOptions } from './xds/load-reporting.ts'
export type { Resources } from './xds/snapshot.ts'
