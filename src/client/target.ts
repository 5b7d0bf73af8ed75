import type { HttpConnectionManager } from '../discovery/model/listener.ts'
import { parseTargetName } from '../discovery/target-name.ts'
import { MeshError } from '../errors.ts'
import type { Clock } from '../runtime.ts'
import type { CallSeries, Telemetry } from '../telemetry/telemetry.ts'
import { type PendingLimit, PendingQueue } from './pending-queue.ts'
import type { MatchedRoute, MeshRouter } from './route-plan.ts'
import type { RouteRequest } from './route-request.ts'

/** What is known about the configuration of one authority. Its identity is kept from one configuration to the next. */
export class Target {
  /** As it is watched: `host`, `host:port` or `xds://authority/name`. */
  readonly authority: string
  /** What calls to it are addressed to: `host` or `host:port`. */
  readonly host: string
  readonly scheme: string
  /** `null` until it is there. */
  router: MeshRouter | null
  /** Why there is no router and none to wait for. */
  failure: MeshError | null
  listener: HttpConnectionManager | null
  readonly pending: PendingQueue
  readonly #telemetry: Telemetry
  #series: { readonly route: MatchedRoute | null; readonly series: CallSeries } | null = null

  constructor(authority: string, scheme: string, clock: Clock, limit: PendingLimit, telemetry: Telemetry) {
    this.authority = authority
    this.host = parseTargetName(authority).authority
    this.scheme = scheme
    this.router = null
    this.failure = null
    this.listener = null
    this.pending = new PendingQueue(clock, limit)
    this.#telemetry = telemetry
  }

  /** Takes over what became of it, and lets the requests that wait go on. */
  ready(router: MeshRouter, listener: HttpConnectionManager): void {
    this.router = router
    this.listener = listener
    this.failure = null
    this.pending.release()
  }

  /** There is no configuration. */
  failed(failure: MeshError): void {
    this.router = null
    this.listener = null
    this.failure = failure
    this.pending.release()
  }

  /** The error of a request that no route takes. */
  noRoute(request: RouteRequest): MeshError {
    const where = this.router?.findVirtualHost(request.authority)
    const message =
      where === null || where === undefined
        ? `host ${request.authority}: no virtual host of ${this.router?.config.name ?? 'its routes'} serves it`
        : `host ${request.authority}: no route of virtual host ${where.config.name} matches ${request.method} ${request.path}`
    return new MeshError('MESH_ERR_NO_ROUTE', message, { flag: 'NR', statusCode: 404 })
  }

  /** Where calls are counted that no cluster was chosen for. */
  series(route: MatchedRoute | null): CallSeries {
    if (this.#series !== null && this.#series.route === route) return this.#series.series
    const series = this.#telemetry.bind({
      scheme: this.scheme,
      authority: this.host,
      virtualHost: route?.virtualHost.name ?? '',
      routeName: route?.name ?? '',
      urlTemplate: route?.urlTemplate ?? '',
      clusterName: '',
      destination: { service: '', version: '' },
    })
    this.#series = { route, series }
    return series
  }
}
