import { join } from 'node:path'
import { SecureEndpoint, type SecureEndpointOptions } from './ca/secure-endpoint.ts'
import { WorkloadSecrets } from './ca/workload-secrets.ts'
import type { Configuration } from './configuration.ts'
import { RegistryFile } from './registry/registry-file.ts'
import { WorkloadRegistry } from './registry/workload-registry.ts'
import type { Runtime } from './runtime.ts'
import { AdsServer, type AdsServerOptions } from './xds/ads-server.ts'
import type { ClientStatus } from './xds/client-status.ts'
import { GrpcServer } from './xds/grpc-server.ts'
import type { LoadReport } from './xds/load-report.ts'
import { LoadReportingServer, type LoadReportingServerOptions } from './xds/load-reporting.ts'
import { SecretSource } from './xds/secret-source.ts'

/** How certificates are issued and xDS is served over mutual TLS; the rest is that of {@link DiscoveryServiceOptions}. */
export type SecureOptions = Omit<SecureEndpointOptions, 'runtime' | 'data' | 'handlers'>

/** How a configuration is served. */
export interface DiscoveryServiceOptions {
  readonly runtime: Runtime
  /** Folder in which the registry and the certificate authority outlive a restart. Without one, they start empty. */
  readonly data?: string
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 15010; 0 takes a free port. */
  readonly xdsPort?: number
  /** Allows plaintext on an address that others reach. Default false. */
  readonly insecurePlaintext?: boolean
  /** Serves xDS and certificates over mutual TLS as well. Without it there is plaintext only. */
  readonly secure?: SecureOptions
  /** How long a workload whose stream is gone stays. Default 5,000 ms. */
  readonly graceMs?: number
  /** How clients report their load; `false`: they are refused. Default: as {@link LoadReportingServerOptions} says. */
  readonly loadReporting?: Pick<LoadReportingServerOptions, 'intervalMs' | 'maxStreams' | 'retentionMs'> | false
  /** Limits and delays of the pushes. */
  readonly push?: Pick<AdsServerOptions, 'debounceMs' | 'maxDebounceMs' | 'connectsPerSecond' | 'maxStreams'>
}

/**
 * A client that comes back to a server without memory keeps what it has for this long, while the workloads register again. Clients
 * that were connected a moment ago come back within seconds.
 */
const settleMs = 10_000

/** Configuration and registry behind an xDS server. */
export class DiscoveryService {
  /** `host:port` of the xDS server. */
  readonly xdsAddress: string
  readonly #configuration: Configuration
  readonly #registry: WorkloadRegistry
  readonly #file: RegistryFile | undefined
  readonly #ads: AdsServer
  readonly #loads: LoadReportingServer | undefined
  readonly #server: GrpcServer
  /** The certificate authority and the server of mutual TLS, where there is one. */
  readonly secure: SecureEndpoint | undefined
  readonly #secrets: WorkloadSecrets | undefined

  private constructor(
    xdsAddress: string,
    configuration: Configuration,
    registry: WorkloadRegistry,
    file: RegistryFile | undefined,
    ads: AdsServer,
    loads: LoadReportingServer | undefined,
    server: GrpcServer,
    secure: SecureEndpoint | undefined,
    secrets: WorkloadSecrets | undefined,
  ) {
    this.#secrets = secrets
    this.xdsAddress = xdsAddress
    this.#configuration = configuration
    this.#registry = registry
    this.#file = file
    this.#ads = ads
    this.#loads = loads
    this.#server = server
    this.secure = secure
  }

  /**
   * Restores the registry and serves.
   *
   * @throws when the address cannot be bound
   */
  static async start(configuration: Configuration, options: DiscoveryServiceOptions): Promise<DiscoveryService> {
    const { runtime, data, graceMs } = options
    const file = data === undefined ? undefined : new RegistryFile(join(data, 'registry.json'), runtime.clock, runtime.logger)
    const stored = await file?.read()
    const registry = new WorkloadRegistry({
      ...runtime,
      ...(graceMs === undefined ? {} : { graceMs }),
      stored: stored ?? [],
      onChange(workloads) {
        file?.write(registry.stored)
        configuration.setWorkloads(workloads)
      },
    })
    configuration.setWorkloads(registry.workloads)
    const source = new SecretSource(configuration)
    const ads = new AdsServer({
      ...runtime,
      ...options.push,
      source,
      observer: registry,
      settleMs: stored ? 0 : settleMs,
    })
    configuration.onChange(() => ads.update())
    const { loadReporting = {} } = options
    const loads = loadReporting && new LoadReportingServer({ ...runtime, ...loadReporting, source: configuration })
    const handlers = new Map([...ads.handlers(), ...(loads ? loads.handlers() : [])])
    const server = new GrpcServer({ ...runtime, handlers, insecurePlaintext: options.insecurePlaintext ?? false })
    try {
      const address = await server.listen(options.host ?? '127.0.0.1', options.xdsPort ?? 15_010)
      const secure = options.secure && (await startSecure(options.secure, { runtime, data, handlers }))
      const secrets = secure && secretsOf(secure, runtime, source, ads)
      return new DiscoveryService(address, configuration, registry, file, ads, loads || undefined, server, secure, secrets)
    } catch (error) {
      await server.close()
      ads.close()
      registry.close()
      throw error
    }
  }

  /** Every connected client and what it accepted or refused. */
  clients(): readonly ClientStatus[] {
    return this.#ads.clients()
  }

  /** What every client reported of the load that it sends, a row for each client and cluster. */
  loadReports(): readonly LoadReport[] {
    return this.#loads?.reports() ?? []
  }

  /** Ends the streams so that clients reconnect elsewhere, writes the registry down and stops. */
  async close(): Promise<void> {
    this.#configuration.close()
    this.#ads.close()
    this.#secrets?.close()
    await Promise.all([this.#server.close(), this.secure?.close()])
    this.#loads?.close()
    await this.#file?.flush()
    this.#registry.close()
  }
}

/** From now on proxies get theirs. */
function secretsOf({ authority }: SecureEndpoint, runtime: Runtime, source: SecretSource, ads: AdsServer): WorkloadSecrets {
  const onChange = () => {
    source.changed()
    ads.update()
  }
  const secrets = new WorkloadSecrets({ ...runtime, authority, onChange })
  source.use(secrets)
  return secrets
}

function startSecure(
  options: SecureOptions,
  { runtime, data, handlers }: Pick<SecureEndpointOptions, 'runtime' | 'handlers'> & { readonly data: string | undefined },
): Promise<SecureEndpoint> {
  return SecureEndpoint.start({ ...options, runtime, handlers, ...(data === undefined ? {} : { data }) })
}
