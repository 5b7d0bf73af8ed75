import type { SecureEndpoint } from './ca/secure-endpoint.ts'
import { DiscoveryService, type DiscoveryServiceOptions } from './discovery-service.ts'
import { FileConfiguration } from './file-configuration.ts'
import { type Runtime, silentLogger, systemClock } from './runtime.ts'
import type { LoadReporting } from './translate/cluster.ts'
import type { ClientStatus } from './xds/client-status.ts'
import type { LoadReport } from './xds/load-report.ts'

/** Options of {@link startControlPlane}. */
export interface ControlPlaneOptions extends Omit<DiscoveryServiceOptions, 'runtime' | 'loadReporting'> {
  /** Folder of Istio and Kubernetes YAML, read recursively and followed. */
  readonly config: string
  /**
   * What clients without proxy report of the load that they send, and how often; `false`: they are not asked. Default: everything but metrics of
   * the endpoints', every 10 s.
   */
  readonly loadReporting?: (Exclude<DiscoveryServiceOptions['loadReporting'], false> & Partial<LoadReporting>) | false
  /** Default: the real clock, and no log. */
  readonly runtime?: Runtime
}

/** A running control plane. */
export interface ControlPlane {
  /** `host:port` of the xDS server. */
  readonly xdsAddress: string
  /** The certificate authority and the server of mutual TLS, where there is one. */
  readonly secure: SecureEndpoint | undefined
  /** Every connected client and what it accepted or refused. */
  clients(): readonly ClientStatus[]
  /** What every client reported of the load that it sends, a row for each client and cluster. */
  loadReports(): readonly LoadReport[]
  /** Ends the streams so that clients reconnect elsewhere, writes the registry down and stops. */
  close(): Promise<void>
}

/**
 * Follows a folder and serves it over xDS.
 *
 * @throws {BadConfigurationError} when the folder has errors to begin with
 * @throws when the address cannot be bound
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { config, runtime = { clock: systemClock, logger: silentLogger }, loadReporting = {} } = options
  const configuration = new FileConfiguration({
    folder: config,
    runtime,
    loadReporting: loadReporting ? { endpointMetrics: [], ...loadReporting } : undefined,
    trustDomain: options.secure?.trustDomain,
  })
  try {
    return await DiscoveryService.start(configuration, { ...options, runtime })
  } catch (error) {
    configuration.close()
    throw error
  }
}
