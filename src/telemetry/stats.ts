import type { Clock } from '../runtime.ts'
import { CallStats } from './call-stats.ts'
import type { Histogram } from './histogram.ts'
import { InboundStats } from './inbound-stats.ts'
import type { MetricFamily, MetricPoint } from './metric-family.ts'
import { grpcStatusName } from './rpc-conventions.ts'
import type { RpcMethodStats } from './rpc-stats.ts'
import type { CallLabels } from './telemetry.ts'

/** Series kept apart; calls of later ones are counted together. */
const maxSeries = 10_000

const overflow: CallLabels = {
  scheme: 'http',
  authority: '',
  virtualHost: '',
  routeName: '',
  urlTemplate: '',
  clusterName: '',
  destination: { service: '', version: '' },
}

/** A number that its owner knows: asked when metrics are collected. */
export interface Gauge {
  readonly name: string
  readonly description: string
  /** UCUM. */
  readonly unit: string
  /** `counter`: it only grows. `updown`: a sum that can shrink. `gauge`: not a sum. */
  readonly kind: 'counter' | 'updown' | 'gauge'
  read(): Iterable<MetricPoint<number>>
}

/** Every counter of the process. */
export class Stats {
  readonly inbound: InboundStats
  readonly #service: string
  readonly #startedAtWall: number
  readonly #series = new Map<string, CallStats>()
  readonly #gauges = new Set<Gauge>()

  /** @param service this process's own service; empty when it is not known */
  constructor(service: string, clock: Clock) {
    this.#service = service
    this.#startedAtWall = clock.wallNow()
    this.inbound = new InboundStats(service)
  }

  /** The series of `labels`: the same one for equal labels, so that counts outlive a change of configuration. */
  bind(labels: CallLabels): CallStats {
    const key = keyOf(labels)
    const found = this.#series.get(key)
    if (found !== undefined) return found
    if (this.#series.size >= maxSeries && labels !== overflow) return this.bind(overflow)
    const series = new CallStats(labels, this.#service)
    this.#series.set(key, series)
    return series
  }

  /** Adds a gauge. Returns what takes it away. */
  observe(gauge: Gauge): () => void {
    this.#gauges.add(gauge)
    return () => this.#gauges.delete(gauge)
  }

  /** Everything as it stands. */
  collect(): MetricFamily[] {
    const startedAtWall = this.#startedAtWall
    const series = [...this.#series.values()]
    const cells = series.flatMap(each => each.cells)
    const calls = series.flatMap(each => each.rpcMethods.flatMap(method => method.cells))
    const histogram = (name: string, description: string, unit: string, points: readonly Recorded[]): MetricFamily => ({
      name,
      description,
      unit,
      startedAtWall,
      kind: 'histogram',
      points: points.map(([attributes, recorded]) => ({ attributes, value: recorded.value() })),
    })
    const families: MetricFamily[] = [
      histogram(
        'http.client.request.duration',
        'Duration of HTTP client requests.',
        's',
        cells.map(cell => [cell.attributes, cell.durationS]),
      ),
      histogram(
        'http.client.request.body.size',
        'Size of HTTP client request bodies.',
        'By',
        cells.map(cell => [cell.attributes, cell.requestBytes]),
      ),
      histogram(
        'http.client.response.body.size',
        'Size of HTTP client response bodies.',
        'By',
        cells.map(cell => [cell.attributes, cell.responseBytes]),
      ),
      {
        name: 'inmesh.client.attempts',
        description: 'Attempts begun, the first of each call included.',
        unit: '{attempt}',
        startedAtWall,
        kind: 'counter',
        points: [...cells, ...calls].map(({ attributes, attempts }) => ({ attributes, value: attempts })),
      },
      {
        name: 'inmesh.client.retries',
        description: 'Attempts beyond the first of each call.',
        unit: '{retry}',
        startedAtWall,
        kind: 'counter',
        points: [...cells, ...calls]
          .filter(({ retries }) => retries > 0)
          .map(({ attributes, retries }) => ({ attributes, value: retries })),
      },
      histogram(
        'rpc.client.call.duration',
        'Measures the duration of an outgoing Remote Procedure Call (RPC).',
        's',
        calls.map(({ attributes, durationS }) => [attributes, durationS]),
      ),
      ...this.#grpcFamilies(series, histogram),
      histogram(
        'http.server.request.duration',
        'Duration of HTTP server requests.',
        's',
        Array.from(this.inbound.cells, ({ attributes, durationS }) => [attributes, durationS]),
      ),
      ...this.#grpcServerFamilies(histogram),
      {
        name: 'inmesh.server.active_requests',
        description: 'Requests that this process is serving.',
        unit: '{request}',
        startedAtWall,
        kind: 'updown',
        points: [{ attributes: {}, value: this.inbound.active }],
      },
    ]
    for (const { name, description, unit, kind, read } of this.#gauges) {
      families.push({ name, description, unit, startedAtWall, kind, points: [...read()] })
    }
    return families.filter(({ points }) => points.length > 0)
  }

  #grpcServerFamilies(histogram: MakeHistogram): MetricFamily[] {
    const methods = [...this.inbound.rpcMethods]
    return [
      histogram(
        'rpc.server.call.duration',
        'Measures the duration of an incoming Remote Procedure Call (RPC).',
        's',
        methods.flatMap(({ cells }) => cells.map(({ cell }): Recorded => [cell.attributes, cell.durationS])),
      ),
      {
        name: 'grpc.server.call.started',
        description: 'The total number of RPCs started, including those that have not completed.',
        unit: '{call}',
        startedAtWall: this.#startedAtWall,
        kind: 'counter',
        points: methods.map(({ method, started }) => ({ attributes: { 'grpc.method': method }, value: started })),
      },
      histogram(
        'grpc.server.call.duration',
        'End-to-end time taken to complete a call from the perspective of the server transport.',
        's',
        methods.flatMap(({ method, durationsS }) =>
          Array.from(durationsS, ([status, durationS]): Recorded => {
            return [{ 'grpc.method': method, 'grpc.status': grpcStatusName(status) }, durationS]
          }),
        ),
      ),
    ]
  }

  /** gRPC's own metrics (gRFC A66, A96). Sizes of compressed messages are not among them: grpc-js tells nobody. */
  #grpcFamilies(series: readonly CallStats[], histogram: MakeHistogram): MetricFamily[] {
    const methods = series.flatMap(({ labels, rpcMethods }) =>
      rpcMethods.map(stats => ({
        stats,
        attributes: {
          'grpc.method': stats.method,
          'grpc.target': `xds:///${labels.authority}`,
          ...(labels.clusterName === '' ? {} : { 'grpc.lb.backend_service': labels.clusterName }),
        },
      })),
    )
    const byStatus = (durationsOf: (stats: RpcMethodStats) => readonly (Histogram | undefined)[]) =>
      methods.flatMap(({ stats, attributes }) =>
        durationsOf(stats).flatMap((durations, status): Recorded[] =>
          durations === undefined ? [] : [[{ ...attributes, 'grpc.status': grpcStatusName(status) }, durations]],
        ),
      )
    return [
      {
        name: 'grpc.client.attempt.started',
        description: 'The total number of RPC attempts started, including those that have not completed.',
        unit: '{attempt}',
        startedAtWall: this.#startedAtWall,
        kind: 'counter',
        points: methods
          .filter(({ stats }) => stats.attemptsStarted > 0)
          .map(({ stats, attributes }) => ({ attributes, value: stats.attemptsStarted })),
      },
      histogram(
        'grpc.client.attempt.duration',
        'End-to-end time taken to complete an RPC attempt.',
        's',
        byStatus(stats => stats.attemptDurationS.byStatus),
      ),
      histogram(
        'grpc.client.call.duration',
        'End-to-end time taken to complete an RPC.',
        's',
        byStatus(stats => stats.callDurationS.byStatus),
      ),
      histogram(
        'grpc.client.call.retries',
        'Number of retries during the call; calls without any are not counted.',
        '{retry}',
        methods.flatMap(({ stats, attributes }): Recorded[] => (stats.retries.count === 0 ? [] : [[attributes, stats.retries]])),
      ),
    ]
  }
}

/** Makes a family of histograms. */
type MakeHistogram = (name: string, description: string, unit: string, points: readonly Recorded[]) => MetricFamily

type Recorded = readonly [attributes: MetricPoint<number>['attributes'], recorded: Histogram]

function keyOf(labels: CallLabels): string {
  const { scheme, authority, virtualHost, routeName, urlTemplate, clusterName, destination, protocolVersion } = labels
  const { service, version } = destination
  return JSON.stringify([
    scheme,
    authority,
    virtualHost,
    routeName,
    urlTemplate,
    clusterName,
    service,
    version,
    protocolVersion ?? '',
  ])
}
