import type { Runtime } from '../runtime.ts'
import type { Identities } from '../security/identities.ts'
import { Http2AdsTransport } from './ads-stream.ts'
import type { Bootstrap } from './bootstrap.ts'
import { ControlPlane, type ControlPlaneOptions } from './control-plane.ts'
import { FederatedSource } from './federated-source.ts'
import type { DividedLoads } from './model/cluster-load.ts'
import type { ResourceKey } from './resource-source.ts'
import type { ResourceDump } from './resource-status.ts'
import type { SavedVersions } from './saved-config.ts'
import type { AuthorityConfig } from './xds-authority.ts'
import type { FederatedStatus } from './xds-client-status.ts'
import { type XdsServer, xdsServerKey } from './xds-server.ts'
import { XdsTransport } from './xds-stream.ts'

/** Options of {@link ControlPlanes}. */
export interface ControlPlanesOptions extends Pick<ControlPlaneOptions, 'loadTypes' | 'onEvent'> {
  readonly bootstrap: Bootstrap
  readonly runtime: Runtime
  readonly identities: Identities | undefined
}

type ServerList = AuthorityConfig['servers']

/**
 * The control planes of a bootstrap (gRFC A47). Authorities with the same list of servers share a stream, and lists that have a server in common
 * share the connection to it. None is connected before it is asked for something.
 */
export class ControlPlanes {
  /** That of names that say no authority. */
  readonly main: ControlPlane
  /** Asks each for what is its own. */
  readonly source: FederatedSource<ControlPlane>
  readonly #options: ControlPlanesOptions
  readonly #transports = new Map<string, XdsTransport>()
  readonly #byServers = new Map<string, ControlPlane>()
  readonly #authorities = new Map<string, ControlPlane>()

  constructor(options: ControlPlanesOptions) {
    this.#options = options
    const { servers, authorities } = options.bootstrap
    this.main = this.#ofServers(servers)
    for (const [name, authority] of authorities) this.#authorities.set(name, this.#ofServers(authority.servers))
    this.source = new FederatedSource(this.main, this.#authorities)
  }

  /** Reports to each the load of its own clusters (gRFC A47). Called at most once. */
  reportLoads(loads: DividedLoads): void {
    for (const each of this.#byServers.values()) {
      each.reportLoads(loads.part(cluster => this.source.resolve('cluster', cluster)?.source === each))
    }
  }

  /** Who this process is has changed: streams that say so by their certificate begin anew, on new connections. */
  renew(): void {
    const renewed = [...this.#byServers.values()].filter(each => each.hasIdentity)
    for (const { transports } of renewed) for (const transport of transports) transport.renew()
    for (const { client } of renewed) client.reopen()
  }

  /** Of those that serve only authorities of their own. */
  status(): readonly FederatedStatus[] {
    const others = [...this.#byServers.values()].filter(each => each !== this.main)
    return others.map(each => ({
      ...each.client.status(),
      authorities: [...this.#authorities].filter(([, source]) => source === each).map(([name]) => name),
    }))
  }

  /** The version of every resource held, by type URL and name. */
  versions(): SavedVersions {
    const versions: Record<string, Readonly<Record<string, string>>> = {}
    for (const { client } of this.#byServers.values()) {
      for (const [typeUrl, held] of Object.entries(client.versions())) versions[typeUrl] = { ...versions[typeUrl], ...held }
    }
    return versions
  }

  /** What is known of a resource; `undefined` when it is not watched. */
  dump({ kind, name }: ResourceKey): ResourceDump | undefined {
    const found = this.source.resolve(kind, name)
    return found?.source.client.dump(kind, found.name)
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#byServers.values(), each => each.close()))
  }

  #ofServers([first, ...rest]: ServerList): ControlPlane {
    const key = [first, ...rest].map(xdsServerKey).join('\n')
    const known = this.#byServers.get(key)
    if (known !== undefined) return known
    const { bootstrap, runtime, loadTypes, onEvent } = this.#options
    const placeOf = (server: XdsServer) => ({ server, transport: new Http2AdsTransport(this.#transportTo(server)) })
    const made = new ControlPlane({
      places: [placeOf(first), ...rest.map(placeOf)],
      transports: [first, ...rest].map(server => this.#transportTo(server)),
      node: bootstrap.node,
      runtime,
      loadTypes,
      ...(onEvent === undefined ? {} : { onEvent }),
    })
    this.#byServers.set(key, made)
    return made
  }

  #transportTo(server: XdsServer): XdsTransport {
    const key = xdsServerKey(server)
    const known = this.#transports.get(key)
    if (known !== undefined) return known
    const { runtime, identities } = this.#options
    const made = new XdsTransport(server, runtime, identities)
    this.#transports.set(key, made)
    return made
  }
}
