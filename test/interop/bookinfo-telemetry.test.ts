import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as stable from '@opentelemetry/semantic-conventions'
import * as incubating from '@opentelemetry/semantic-conventions/incubating'
import { Bookinfo } from '../../examples/bookinfo/bookinfo.ts'
import { version } from '../../src/version.ts'
import { attributes, attributesIn, type Block, Collector, field, points, serviceOf } from './support/collector.ts'

type Attributes = Readonly<Record<string, string>>

const valuesOf = (module: object, prefix: string): ReadonlySet<unknown> =>
  new Set(Object.entries(module).flatMap(([key, value]) => (key.startsWith(prefix) ? [value] : [])))
const stableAttributes = valuesOf(stable, 'ATTR_')
const knownAttributes = valuesOf(incubating, 'ATTR_')
const stableMetrics = valuesOf(stable, 'METRIC_')
const knownMetrics = valuesOf(incubating, 'METRIC_')

/** The one attribute of the HTTP conventions in use that is not declared stable yet; there it is opt-in. */
const optedIn: ReadonlySet<string> = new Set([incubating.ATTR_URL_TEMPLATE])
const integers = /^(server\.port|network\.peer\.port|http\.response\.status_code|http\.request\.resend_count)$/
const ownIntegers = /^inmesh\.(attempts?|retry\.delay_ms)$/

/** Fails for a name that is neither in the conventions nor the mesh's own, and for a value of another type than theirs. */
function assertConventional(found: Attributes): void {
  for (const [name, value] of Object.entries(found)) {
    assert.ok(name.startsWith('inmesh.') || stableAttributes.has(name) || optedIn.has(name), `${name} is in no convention`)
    assert.match(value, integers.test(name) || ownIntegers.test(name) ? /^Int\(\d+\)$/ : /^Str\(.+\)$/, name)
  }
}

function assertHas(found: Attributes, names: readonly string[]): void {
  for (const name of names) assert.ok(found[name] !== undefined, `${name} is missing in ${JSON.stringify(found)}`)
}

const bare = (value = '') => value.replace(/^\w+\((.*)\)$/, '$1')
const resourceOf = ({ resource }: Block) => attributesIn(resource.split('\n'))
const instanceOf = (block: Block) => bare(resourceOf(block)['service.instance.id'])
const traceOf = (span: Block) => field(span, 'Trace ID') ?? ''
const kindOf = (span: Block) => field(span, 'Kind')
const statusOf = (found: Attributes) => Number(bare(found['http.response.status_code'] ?? '0'))
const errorOf = (found: Attributes) => bare(found['error.type'])
const isFrom = (service: string, kind: string) => (span: Block) => serviceOf(span) === service && kindOf(span) === kind
const isResent = (span: Block) => attributes(span)['http.request.resend_count'] !== undefined
const attributesOfPoints = (metric: Block) => points(metric).map(attributesIn)

/** The spans of each trace. */
const traces = (spans: readonly Block[]): readonly (readonly Block[])[] => [...Map.groupBy(spans, traceOf).values()]

/** A trace as indented lines, siblings in the order of the alphabet. */
function outline(spans: readonly Block[], parentId = ''): string[] {
  return spans
    .filter(span => field(span, 'Parent ID') === parentId)
    .map(span => [
      `${serviceOf(span)} ${kindOf(span)} ${field(span, 'Name')}`,
      ...outline(spans, field(span, 'ID')).map(line => `  ${line}`),
    ])
    .sort()
    .flat()
}

/** Whether a page came without retries from a version of reviews that asks ratings. */
const isWhole = (trace: readonly Block[]) => outline(trace).length === 8 && !trace.some(isResent)

/** Whether what `kind` saw is a failure; fails for an error type that is not that of the failure, or of none. */
function assertFailure(found: Attributes, kind: string | undefined): boolean {
  const [status, error] = [statusOf(found), errorOf(found)]
  const described = JSON.stringify(found)
  if (status >= (kind === 'Client' ? 400 : 500)) assert.equal(error, String(status), described)
  else if (status === 0) assert.match(error, /^[A-Za-z_]+$/, described)
  // A caller can go away while it is being answered.
  else assert.ok(error === '' || (kind === 'Server' && error === 'aborted'), described)
  return error !== ''
}

const isRpc = (span: Block) => attributes(span)['rpc.system.name'] !== undefined

const everyService = ['details', 'productpage', 'ratings', 'reviews', 'traffic']

describe('an OpenTelemetry collector understands what Bookinfo exports', { timeout: 180_000 }, () => {
  let collector: Collector
  let app: Bookinfo
  let spans: readonly Block[]
  let metrics: readonly Block[]

  before(async () => {
    collector = await Collector.start('http')
    app = await Bookinfo.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${collector.endpoint}`,
      OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=bookinfo',
    })
    const some = (condition: (span: Block) => boolean) => () => collector.spans().some(condition)
    const everyInstance = () => new Set(collector.metrics().map(instanceOf)).size === 13
    await app.until('metrics of every instance', everyInstance, 90_000)
    await app.until('a trace across all services', () => traces(collector.spans()).some(isWhole))

    for (const name of ['details-a', 'details-b']) await app.setPace(name, 'slow')
    const timedOut = (span: Block) => isFrom('productpage', 'Client')(span) && errorOf(attributes(span)) !== ''
    await app.until('calls of details that time out', some(timedOut))
    await app.until(
      'answers of details that nobody waits for',
      some(span => errorOf(attributes(span)) === 'aborted'),
    )
    for (const name of ['details-a', 'details-b']) await app.killInstance(name)
    await app.until(
      'failures that reach the user',
      some(span => isFrom('traffic', 'Client')(span) && statusOf(attributes(span)) === 502),
    )

    const counted = (service: string, name: string, text: string) => () =>
      collector
        .metrics()
        .some(each => serviceOf(each) === service && field(each, 'Name') === name && each.lines.some(line => line.includes(text)))
    await app.until('failures counted by the caller', counted('traffic', 'http.client.request.duration', 'Str(502)'))
    await app.until('failures counted by the callee', counted('productpage', 'http.server.request.duration', 'Str(502)'))
    await app.until('timeouts', counted('productpage', 'http.client.request.duration', 'MESH_ERR_PER_TRY_TIMEOUT'))
    await app.until('retries', counted('productpage', 'inmesh.client.retries', 'Value: '))
    // The root ends last: with it, the rest of its trace is on its way.
    const complete = new Set(collector.spans().filter(isFrom('traffic', 'Client')).map(traceOf))
    const isLinked = (trace: readonly Block[]) => {
      const ids = new Set(['', ...trace.map(span => field(span, 'ID'))])
      return trace.every(span => ids.has(field(span, 'Parent ID') ?? ''))
    }
    const those = () => collector.spans().filter(span => complete.has(traceOf(span)))
    // What never comes is for the test of the links to say.
    await app.until('the rest of these traces', () => traces(those()).every(isLinked)).catch(() => {})
    spans = those()
    metrics = collector.metrics()
  })

  after(async () => {
    await app?.stop()
    collector?.stop()
  })

  test('each instance is a resource of its own, the same for spans and metrics', () => {
    const resources = new Map([...spans, ...metrics].map(block => [instanceOf(block), resourceOf(block)]))
    const named = Array.from(resources.values(), each => `${bare(each['service.name'])} ${bare(each['service.version'])}`.trim())
    assert.deepEqual(named.sort(), [
      ...['details v1', 'details v1', 'productpage v1', 'productpage v1', 'ratings v1', 'ratings v2'],
      ...['reviews v1', 'reviews v1', 'reviews v2', 'reviews v2', 'reviews v3', 'reviews v3', 'traffic'],
    ])
    for (const block of [...spans, ...metrics]) {
      const resource = resourceOf(block)
      assert.deepEqual(resource, resources.get(instanceOf(block)))
      assert.equal(block.scope, `inmesh ${version}`)
    }
    for (const [id, resource] of resources) {
      assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      assert.equal(resource['service.namespace'], 'Str(bookinfo)')
      assert.equal(resource['telemetry.sdk.name'], 'Str(opentelemetry)')
      assert.equal(resource['telemetry.sdk.language'], 'Str(nodejs)')
      assert.match(resource['telemetry.sdk.version'] ?? '', /^Str\(\d+\.\d+\.\d+\)$/)
      for (const name of Object.keys(resource)) {
        const known = /^(service|telemetry)\./.test(name) ? stableAttributes : knownAttributes
        assert.ok(known.has(name), `${name} is in no convention`)
      }
    }
  })

  test('a page is one trace across all services', () => {
    const whole = traces(spans).find(isWhole)
    assert.deepEqual([...new Set(whole?.map(serviceOf))].sort(), everyService)
    assert.deepEqual(outline(whole ?? []), [
      'traffic Client GET /*',
      '  productpage Server GET',
      '    productpage Client GET /*',
      '      details Server GET',
      '    productpage Client GET /*',
      '      reviews Server GET',
      '        reviews Client bookinfo.Ratings/Get',
      '          ratings Server bookinfo.Ratings/Get',
    ])
  })

  test('a SERVER span is below the CLIENT span that names its service and version, and that below a SERVER span of its own process', () => {
    const byId = new Map(spans.map(span => [field(span, 'ID'), span]))
    assert.equal(byId.size, spans.length)
    for (const span of spans) {
      const parent = byId.get(field(span, 'Parent ID'))
      if (serviceOf(span) === 'traffic') {
        assert.equal(parent, undefined)
        continue
      }
      assert.ok(parent, `without its parent:\n${serviceOf(span)}\n${span.lines.join('\n')}`)
      assert.equal(traceOf(parent), traceOf(span))
      if (kindOf(span) === 'Client') {
        assert.deepEqual([kindOf(parent), instanceOf(parent)], ['Server', instanceOf(span)])
        continue
      }
      const { 'inmesh.destination.service': service, 'inmesh.destination.version': subset } = attributes(parent)
      assert.deepEqual([kindOf(parent), bare(service)], ['Client', serviceOf(span)])
      if (serviceOf(span) === 'reviews') assert.equal(subset, resourceOf(span)['service.version'])
    }
  })

  test('names and types of attributes are those of the stable conventions, and the mesh’s', () => {
    for (const span of spans) assertConventional(attributesIn(span.lines))
    const requests = spans.filter(span => !isRpc(span))
    for (const span of requests) {
      const found = attributes(span)
      assert.equal(found['http.request.method'], 'Str(GET)')
      assert.equal(found['network.protocol.version'], 'Str(1.1)')
      assert.equal(found['server.port'], 'Int(9080)')
      // Between services it is mutual TLS, which callers need not know.
      assert.equal(found['url.scheme'], kindOf(span) === 'Server' ? 'Str(https)' : 'Str(http)')
    }
    for (const span of requests.filter(span => kindOf(span) === 'Client')) {
      const found = attributes(span)
      const mesh = ['inmesh.source.service', 'inmesh.destination.service', 'inmesh.route', 'inmesh.cluster', 'inmesh.attempts']
      assertHas(found, ['url.full', 'url.template', ...mesh])
      const { protocol, hostname, port } = new URL(bare(found['url.full']))
      assert.deepEqual([protocol, hostname, port], ['http:', bare(found['server.address']), '9080'])
      assert.equal(field(span, 'Name'), `GET ${bare(found['url.template'])}`)
      assert.equal(bare(found['inmesh.source.service']), serviceOf(span))
      assert.equal(bare(found['inmesh.destination.service']), hostname)
      assert.equal(
        Number(bare(found['http.request.resend_count'] ?? '0')),
        Math.max(0, Number(bare(found['inmesh.attempts'])) - 1),
      )
      if (errorOf(found) === '') assertHas(found, ['network.peer.address', 'network.peer.port'])
      for (const name of ['url.path', 'url.query', 'http.route', 'client.address']) assert.equal(found[name], undefined)
    }
    for (const span of requests.filter(span => kindOf(span) === 'Server')) {
      const found = attributes(span)
      assertHas(found, ['url.path', 'client.address', 'network.peer.address', 'network.peer.port', 'user_agent.original'])
      assert.match(bare(found['url.path']), /^\/(productpage|(details|reviews)\/0)$/)
      assert.equal(bare(found['server.address']), serviceOf(span))
      // No framework says which of its routes matched, and a path is no substitute for one.
      assert.equal(field(span, 'Name'), 'GET')
      for (const name of ['url.full', 'url.query', 'http.route', 'url.template']) assert.equal(found[name], undefined)
    }
  })

  test('calls of gRPC are told by the conventions of RPC', () => {
    const calls = spans.filter(isRpc)
    assert.deepEqual([...new Set(calls.map(span => `${serviceOf(span)} ${kindOf(span)}`))].sort(), [
      'ratings Server',
      'reviews Client',
    ])
    for (const span of calls) {
      const found = attributes(span)
      assert.equal(field(span, 'Name'), 'bookinfo.Ratings/Get')
      assert.equal(found['rpc.system.name'], 'Str(grpc)')
      assert.equal(found['rpc.method'], 'Str(bookinfo.Ratings/Get)')
      assert.deepEqual([found['server.address'], found['server.port']], ['Str(ratings)', 'Int(9080)'])
      assertHas(found, ['rpc.status_code', 'network.peer.address', 'network.peer.port'])
      const isOk = found['rpc.status_code'] === 'Str(OK)'
      assert.equal(errorOf(found) === '', isOk)
      assert.equal(field(span, 'Status code'), isOk ? 'Unset' : 'Error')
      assert.deepEqual(
        Object.keys(found).filter(name => /^(http|url)\./.test(name)),
        [],
      )
    }
  })

  test('only what failed has an error type and the status Error', () => {
    const seen = new Set<string>()
    for (const span of spans.filter(span => !isRpc(span))) {
      const found = attributes(span)
      const isFailed = assertFailure(found, kindOf(span))
      const error = errorOf(found)
      // Whoever goes away makes no error of the server's.
      const isError = isFailed && error !== 'aborted'
      assert.equal(field(span, 'Status code'), isError ? 'Error' : 'Unset')
      // The conventions want no description of what the status code says already.
      assert.equal(field(span, 'Status message') !== '', isError && statusOf(found) === 0)
      seen.add(`${serviceOf(span)} ${kindOf(span)} ${error}`.trim())
    }
    const expected = [
      ...['traffic Client', 'traffic Client 502', 'productpage Server', 'productpage Server 502', 'productpage Client'],
      ...['productpage Client MESH_ERR_PER_TRY_TIMEOUT', 'details Server', 'details Server aborted', 'reviews Server'],
    ]
    for (const each of expected) assert.ok(seen.has(each), `${each} is not among ${[...seen].join(', ')}`)
  })

  test('metrics have the names, units and types of the conventions', () => {
    const instruments = metrics.map(metric => {
      const described = ['Unit', 'DataType', 'AggregationTemporality'].map(name => field(metric, name))
      return [field(metric, 'Name'), ...described, field(metric, 'IsMonotonic') ?? ''].join(' ').trim()
    })
    // Retries of gRPC come about when a machine is busy.
    const steady = instruments.filter(each => !each.startsWith('grpc.client.call.retries'))
    assert.deepEqual([...new Set(steady)].sort(), [
      'grpc.client.attempt.duration s Histogram Cumulative',
      'grpc.client.attempt.started {attempt} Sum Cumulative true',
      'grpc.client.call.duration s Histogram Cumulative',
      'grpc.server.call.duration s Histogram Cumulative',
      'grpc.server.call.started {call} Sum Cumulative true',
      'http.client.request.body.size By Histogram Cumulative',
      'http.client.request.duration s Histogram Cumulative',
      'http.client.response.body.size By Histogram Cumulative',
      'http.server.request.duration s Histogram Cumulative',
      'inmesh.client.attempts {attempt} Sum Cumulative true',
      'inmesh.client.retries {retry} Sum Cumulative true',
      'inmesh.server.active_requests {request} Sum Cumulative false',
      'rpc.client.call.duration s Histogram Cumulative',
      'rpc.server.call.duration s Histogram Cumulative',
    ])
    for (const metric of metrics) {
      const name = field(metric, 'Name') ?? ''
      const conventional = name.endsWith('.duration') ? stableMetrics : knownMetrics
      assert.ok(/^(inmesh|grpc)\./.test(name) || conventional.has(name), `${name} is in no convention`)
      assert.notEqual(field(metric, 'Description'), '')
    }
  })

  test('durations are in seconds, in the buckets of the conventions', () => {
    const durations = metrics.filter(metric => /^(http|rpc)\..*\.duration$/.test(field(metric, 'Name') ?? ''))
    for (const point of durations.flatMap(points)) {
      const numbers = (label: RegExp) => point.flatMap(line => (label.test(line) ? [Number(line.split(': ').at(-1))] : []))
      const bounds = numbers(/^ExplicitBounds #/)
      assert.deepEqual(bounds, [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10])
      const counts = numbers(/^Buckets #/)
      assert.equal(counts.length, bounds.length + 1)
      assert.deepEqual([counts.reduce((sum, count) => sum + count, 0)], numbers(/^Count: /))
      if (errorOf(attributesIn(point)) !== 'MESH_ERR_PER_TRY_TIMEOUT') continue
      // Four attempts of at most 250 ms, and the pauses between them.
      const [min = 0, max = 0] = [...numbers(/^Min: /), ...numbers(/^Max: /)]
      assert.ok(min > 0.2 && max < 100, `${min} to ${max}`)
    }
  })

  test('attributes of metrics are those of the conventions, and the mesh’s', () => {
    const client = [
      'http.request.method',
      'network.protocol.version',
      'server.address',
      'server.port',
      'url.scheme',
      'url.template',
    ]
    const mesh = ['inmesh.cluster', 'inmesh.destination.service', 'inmesh.route', 'inmesh.source.service']
    const rpc = ['rpc.method', 'rpc.status_code', 'rpc.system.name']
    const caller = 'inmesh.connection.security_policy'
    const server = ['http.request.method', 'inmesh.destination.service', caller, 'network.protocol.version', 'url.scheme']
    const changing = new Set([
      'http.response.status_code',
      'error.type',
      'inmesh.response_flag',
      'inmesh.destination.version',
      // Not of who comes from outside.
      'inmesh.source.principal',
    ])
    const expectedOf = (name: string, isCall: boolean) => {
      if (name.includes('.client.')) return isCall ? [...rpc, 'server.address', 'server.port', ...mesh] : [...client, ...mesh]
      if (name === 'rpc.server.call.duration') return [...rpc, 'inmesh.destination.service', caller]
      return name === 'http.server.request.duration' ? server : []
    }
    // gRPC has conventions of its own for its own.
    for (const metric of metrics.filter(each => !field(each, 'Name')?.startsWith('grpc.'))) {
      const name = field(metric, 'Name') ?? ''
      for (const found of attributesOfPoints(metric)) {
        assertConventional(found)
        const isCall = found['rpc.method'] !== undefined
        const expected = expectedOf(name, isCall)
        const constant = Object.keys(found).filter(each => !changing.has(each))
        assert.deepEqual(constant.sort(), [...expected].sort(), name)
        if (expected.length > 0 && !isCall) assertFailure(found, name.includes('.client.') ? 'Client' : 'Server')
        if (found['server.address'] === 'Str(reviews)') assertHas(found, ['inmesh.destination.version'])
      }
    }
  })
})
