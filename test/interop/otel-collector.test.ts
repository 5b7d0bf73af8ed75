import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, type TestContext, test } from 'node:test'
import { unusedPort } from '../support/http-upstream.ts'
import { startRegisteredApp, staticConfig } from '../support/registered-app.ts'
import { attributes, type Block, Collector, field, serviceOf } from './support/collector.ts'

async function call(port: string): Promise<string> {
  const [response] = await once(get({ port, host: '127.0.0.1', path: '/page' }), 'response')
  return text(response)
}

const ratings = `
  import { createServer } from 'node:http'
  let requests = 0
  createServer((request, response) => {
    response.statusCode = ++requests === 1 ? 503 : 200
    response.end('five stars')
  }).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'))
`
const reviews = `
  import { createServer } from 'node:http'
  const server = createServer(async (request, response) => {
    const answer = await fetch('http://ratings/ratings/1?sig=secret')
    response.end(await answer.text())
  })
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
`

for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
  describe(`an OpenTelemetry collector understands what two services export by ${protocol}`, () => {
    let collector: Collector
    const cleanups: (() => void)[] = []
    const context: Pick<TestContext, 'after'> = { after: fn => void cleanups.push(fn as () => void) }

    before(async () => {
      collector = await Collector.start(protocol === 'grpc' ? 'grpc' : 'http')
      const folder = mkdtempSync(join(tmpdir(), 'inmesh-collector-'))
      cleanups.push(() => rmSync(folder, { recursive: true }))
      const ratingsPort = await unusedPort()
      const file = join(folder, 'mesh.json')
      writeFileSync(file, staticConfig({ ratings: ratingsPort }))
      const shared = {
        INMESH_STATIC_CONFIG: file,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://${collector.endpoint}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_LOGS_EXPORTER: 'none',
        OTEL_METRIC_EXPORT_INTERVAL: '500',
        OTEL_BSP_SCHEDULE_DELAY: '100',
      }
      const own = { INMESH_SERVICE: 'ratings', PORT: String(ratingsPort) }
      await startRegisteredApp(context, ratings, { ...shared, ...own }).firstLine
      const app = startRegisteredApp(context, reviews, {
        ...shared,
        OTEL_SERVICE_NAME: 'reviews',
        INMESH_LABELS: 'app=reviews,version=v3',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      })
      const port = await app.firstLine
      assert.equal(await call(port), 'five stars')
      assert.equal(await call(port), 'five stars')
      const has = (service: string, name: string) =>
        collector.metrics().some(metric => serviceOf(metric) === service && field(metric, 'Name') === name)
      await collector.until(
        () =>
          collector.spans().length >= 7 &&
          has('reviews', 'http.client.request.duration') &&
          has('reviews', 'inmesh.server.active_requests') &&
          has('ratings', 'http.server.request.duration'),
      )
    })

    after(() => {
      for (const cleanup of cleanups) cleanup()
      collector?.stop()
    })

    test('the resource says which service it is', () => {
      const resource = collector.spans().find(span => serviceOf(span) === 'reviews')?.resource ?? ''
      assert.match(resource, /service\.version: Str\(v3\)/)
      assert.match(resource, /service\.instance\.id: Str\([0-9a-f-]{36}\)/)
      assert.match(resource, /deployment\.environment\.name: Str\(test\)/)
      assert.match(resource, /telemetry\.sdk\.language: Str\(nodejs\)/)
      assert.ok(collector.spans().some(span => serviceOf(span) === 'ratings'))
    })

    test('a call is one CLIENT span with its attempts as events, between the SERVER spans of caller and callee', () => {
      const spans = collector.spans()
      const client = spans.find(span => attributes(span)['http.request.resend_count'] !== undefined)
      assert.ok(client)
      assert.deepEqual([field(client, 'Name'), field(client, 'Kind'), serviceOf(client)], ['GET /*', 'Client', 'reviews'])
      const of = (span: Block | undefined, name: string) => (span === undefined ? undefined : field(span, name))
      const parent = spans.find(span => field(span, 'ID') === of(client, 'Parent ID'))
      const children = spans.filter(span => field(span, 'Parent ID') === of(client, 'ID'))
      assert.deepEqual([of(parent, 'Kind'), of(parent, 'Name'), of(parent, 'Status code')], ['Server', 'GET', 'Unset'])
      assert.deepEqual(children.map(span => [field(span, 'Kind'), serviceOf(span), field(span, 'Status code')]).sort(), [
        ['Server', 'ratings', 'Error'],
        ['Server', 'ratings', 'Unset'],
      ])
      assert.equal(new Set([client, parent, ...children].map(span => of(span, 'Trace ID'))).size, 1)
      const events = client.lines.filter(line => /^-> Name: inmesh\./.test(line)).map(line => line.replace(/^-> Name: /, ''))
      assert.deepEqual(events, ['inmesh.attempt', 'inmesh.retry', 'inmesh.attempt'])
    })

    test('the attributes of spans are those of the stable HTTP conventions, and the mesh’s', () => {
      const spans = collector.spans()
      const client = spans.find(
        span => field(span, 'Kind') === 'Client' && attributes(span)['http.request.resend_count'] === undefined,
      )
      const { 'network.peer.port': clientPort, ...sent } = attributes(client ?? { resource: '', scope: '', lines: [] })
      assert.match(clientPort ?? '', /^Int\(\d+\)$/)
      assert.deepEqual(sent, {
        'http.request.method': 'Str(GET)',
        'http.response.status_code': 'Int(200)',
        'server.address': 'Str(ratings)',
        'server.port': 'Int(80)',
        'url.full': 'Str(http://ratings/ratings/1?sig=REDACTED)',
        'url.scheme': 'Str(http)',
        'url.template': 'Str(/*)',
        'network.protocol.version': 'Str(1.1)',
        'network.peer.address': 'Str(127.0.0.1)',
        'inmesh.source.service': 'Str(reviews)',
        'inmesh.destination.service': 'Str(ratings)',
        'inmesh.route': 'Str(to-ratings)',
        'inmesh.cluster': 'Str(ratings)',
        'inmesh.attempts': 'Int(1)',
      })
      const server = spans.find(
        span => field(span, 'Kind') === 'Server' && serviceOf(span) === 'ratings' && field(span, 'Status code') === 'Error',
      )
      const {
        'network.peer.port': serverPort,
        'user_agent.original': agent,
        ...served
      } = attributes(server ?? { resource: '', scope: '', lines: [] })
      assert.match(serverPort ?? '', /^Int\(\d+\)$/)
      assert.equal(agent, 'Str(node)')
      assert.deepEqual(served, {
        'http.request.method': 'Str(GET)',
        'http.response.status_code': 'Int(503)',
        'error.type': 'Str(503)',
        'url.scheme': 'Str(http)',
        'url.path': 'Str(/ratings/1)',
        'url.query': 'Str(sig=REDACTED)',
        'server.address': 'Str(ratings)',
        'server.port': 'Int(80)',
        'network.protocol.version': 'Str(1.1)',
        'network.peer.address': 'Str(127.0.0.1)',
        'client.address': 'Str(127.0.0.1)',
        'inmesh.connection.security_policy': 'Str(none)',
      })
    })

    const instruments: readonly [service: string, name: string, unit: string, type: string][] = [
      ['reviews', 'http.client.request.duration', 's', 'Histogram'],
      ['reviews', 'http.client.request.body.size', 'By', 'Histogram'],
      ['reviews', 'http.client.response.body.size', 'By', 'Histogram'],
      ['reviews', 'inmesh.client.attempts', '{attempt}', 'Sum'],
      ['reviews', 'inmesh.client.retries', '{retry}', 'Sum'],
      ['reviews', 'http.server.request.duration', 's', 'Histogram'],
      ['ratings', 'http.server.request.duration', 's', 'Histogram'],
      ['ratings', 'inmesh.server.active_requests', '{request}', 'Sum'],
    ]
    for (const [service, name, unit, type] of instruments) {
      test(`${service}: ${name} is a ${type} in ${unit}`, () => {
        const metric = collector.metrics().find(each => serviceOf(each) === service && field(each, 'Name') === name)
        assert.ok(metric)
        assert.deepEqual([field(metric, 'Unit'), field(metric, 'DataType')], [unit, type])
        assert.equal(field(metric, 'AggregationTemporality'), 'Cumulative')
      })
    }

    test('durations are in the buckets of the conventions', () => {
      const metric = collector.metrics().find(each => field(each, 'Name') === 'http.client.request.duration')
      const bounds = metric?.lines.flatMap(line => /^ExplicitBounds #\d+: ([\d.]+)/.exec(line)?.[1] ?? []).slice(0, 14)
      assert.deepEqual(bounds?.map(Number), [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10])
    })
  })
}
