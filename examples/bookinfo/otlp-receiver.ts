import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** A span as the demo needs it. */
export interface ReceivedSpan {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly attributes: Attributes
}

/** One row of the call table. */
export interface CallRow {
  readonly source: string
  readonly destination: string
  readonly version: string
  readonly status: string
  readonly calls: number
  readonly meanMs: number
}

type Attributes = Readonly<Record<string, string>>

interface KeyValue {
  readonly key: string
  readonly value: {
    readonly stringValue?: string
    readonly intValue?: string | number
    readonly doubleValue?: number
    readonly boolValue?: boolean
  }
}

interface Resource {
  readonly resource: { readonly attributes: readonly KeyValue[] }
}

interface TraceExport {
  readonly resourceSpans?: readonly (Resource & {
    readonly scopeSpans: readonly {
      readonly spans: readonly { readonly traceId: string; readonly name: string; readonly attributes: readonly KeyValue[] }[]
    }[]
  })[]
}

interface MetricsExport {
  readonly resourceMetrics?: readonly (Resource & {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string
        readonly histogram?: {
          readonly dataPoints: readonly {
            readonly attributes: readonly KeyValue[]
            readonly count: string | number
            readonly sum: number
          }[]
        }
      }[]
    }[]
  })[]
}

const read = (attributes: readonly KeyValue[]): Attributes =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0] ?? '')]))

interface Point {
  readonly attributes: Attributes
  readonly source: string
  readonly count: number
  readonly sumSeconds: number
}

/** The durations of outbound calls of either protocol. */
const durations = new Set(['http.client.request.duration', 'rpc.client.call.duration'])

/** The smallest OTLP receiver (`http/json`) that can show who calls whom. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = []
  /** Cumulative points of {@link durations}, the newest of each process and attribute set. */
  readonly #points = new Map<string, Point>()
  /** What the points were when the table was begun. */
  readonly #marked = new Map<string, Point>()
  readonly #server: Server

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const body = await json(request)
      if (request.url === '/v1/traces') this.#addTraces(body as TraceExport)
      if (request.url === '/v1/metrics') this.#addMetrics(body as MetricsExport)
      response.setHeader('content-type', 'application/json')
      response.end('{}')
    })
  }

  /** Listens on a free port of the loopback interface. */
  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver()
    await new Promise<void>(resolve => receiver.#server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  /** Begins the call table anew. */
  mark(): void {
    for (const [key, point] of this.#points) this.#marked.set(key, point)
  }

  /** The call table: every pair of services that spoke, by version and status. */
  calls(): CallRow[] {
    const rows = new Map<string, CallRow>()
    for (const [key, { attributes, source, ...total }] of this.#points) {
      const before = this.#marked.get(key)
      const count = total.count - (before?.count ?? 0)
      const sumSeconds = total.sumSeconds - (before?.sumSeconds ?? 0)
      if (count === 0) continue
      const destination = attributes['inmesh.destination.service'] ?? attributes['server.address'] ?? '?'
      const version = attributes['inmesh.destination.version'] ?? ''
      const status = attributes['http.response.status_code'] ?? attributes['rpc.status_code'] ?? attributes['error.type'] ?? '?'
      const name = [source, destination, version, status].join(' ')
      const row = rows.get(name)
      const calls = (row?.calls ?? 0) + count
      const totalMs = (row ? row.meanMs * row.calls : 0) + sumSeconds * 1000
      rows.set(name, { source, destination, version, status, calls, meanMs: totalMs / calls })
    }
    return [...rows.values()].sort((a, b) =>
      `${a.source}${a.destination}${a.version}`.localeCompare(`${b.source}${b.destination}${b.version}`),
    )
  }

  /** The services of the trace that crosses most of them. */
  widestTrace(): { readonly traceId: string; readonly services: readonly string[]; readonly spans: number } {
    const traces = new Map<string, { services: Set<string>; spans: number }>()
    for (const span of this.spans) {
      const trace = traces.get(span.traceId) ?? { services: new Set<string>(), spans: 0 }
      trace.services.add(span.service)
      trace.spans++
      traces.set(span.traceId, trace)
    }
    const [widest] = [...traces].sort(([, a], [, b]) => b.services.size - a.services.size || b.spans - a.spans)
    return { traceId: widest?.[0] ?? '', services: [...(widest?.[1].services ?? [])].sort(), spans: widest?.[1].spans ?? 0 }
  }

  #addTraces(body: TraceExport): void {
    for (const { resource, scopeSpans } of body.resourceSpans ?? []) {
      const service = read(resource.attributes)['service.name'] ?? '?'
      for (const { spans } of scopeSpans) {
        for (const { name, traceId, attributes } of spans)
          this.spans.push({ service, name, traceId, attributes: read(attributes) })
      }
    }
  }

  #addMetrics(body: MetricsExport): void {
    for (const { resource, scopeMetrics } of body.resourceMetrics ?? []) {
      const process = read(resource.attributes)
      for (const { metrics } of scopeMetrics) {
        for (const { name, histogram } of metrics) {
          if (!durations.has(name)) continue
          for (const point of histogram?.dataPoints ?? []) {
            const attributes = read(point.attributes)
            const key = JSON.stringify([process['service.name'], process['service.instance.id'], attributes])
            const source = process['service.name'] ?? '?'
            this.#points.set(key, { attributes, source, count: Number(point.count), sumSeconds: point.sum })
          }
        }
      }
    }
  }
}
