import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MetricFamily } from '../../src/telemetry/metric-family.ts'
import { Stats } from '../../src/telemetry/stats.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { outcome } from '../support/outcome.ts'

const labels = {
  scheme: 'http',
  authority: 'reviews',
  virtualHost: '',
  routeName: '',
  urlTemplate: '',
  clusterName: 'reviews',
  destination: { service: 'reviews', version: '' },
}

const find = (families: readonly MetricFamily[], name: string) => families.find(family => family.name === name)

test('equal labels are one series, whatever configuration they come from', () => {
  const stats = new Stats('a', new ManualClock())
  assert.equal(stats.bind(labels), stats.bind({ ...labels, destination: { ...labels.destination } }))
  assert.notEqual(stats.bind(labels), stats.bind({ ...labels, routeName: 'other' }))
})

test('calls with the same attributes are one cell, found again after others came between', () => {
  const series = new Stats('a', new ManualClock()).bind(labels)
  const first = series.cell(outcome())
  const failed = series.cell(outcome({ statusCode: 503, flag: 'URX' }))
  const error = series.cell(outcome({ error: new TypeError('x') }))
  assert.equal(new Set([first, failed, error]).size, 3)
  assert.equal(series.cell(outcome()), first)
  assert.equal(series.cell(outcome({ statusCode: 503, flag: 'URX' })), failed)
  assert.equal(series.cell(outcome({ error: new TypeError('y') })), error)
  assert.notEqual(series.cell(outcome({ error: new RangeError('y') })), error)
})

test('unknown methods, errors and statuses cannot make cells without end', () => {
  const series = new Stats('a', new ManualClock()).bind(labels)
  for (let each = 0; each < 5000; each++) {
    const error = Object.assign(new Error('x'), { code: `E${each}` })
    series.cell(outcome({ method: `M${each}`, error })).add(outcome({ error }))
  }
  assert.ok(series.cells.length <= 101, String(series.cells.length))
  assert.equal(
    series.cells.reduce((sum, { durationS }) => sum + durationS.count, 0),
    5000,
  )
})

test('every metric has the name, unit and kind of the conventions', () => {
  const clock = new ManualClock()
  const stats = new Stats('a', clock)
  const retried = outcome({ attempts: 3, durationMs: 1500, requestBytes: 10, responseBytes: 20 })
  stats.bind(labels).cell(retried).add(retried)
  const request = {
    isGrpc: false,
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: '/',
    protocolVersion: '1.1',
    headers: {},
    peerAddress: '',
    peerPort: 0,
    sourcePrincipal: '',
    security: 'none' as const,
  }
  const ended = {
    statusCode: 200,
    grpcStatus: -1,
    route: '/x',
    durationMs: 20,
    requestBytes: 0,
    responseBytes: 0,
    wasAborted: false,
    error: null,
  }
  stats.inbound.begin(request)
  stats.inbound.add(request, ended)
  const collected = stats.collect()
  assert.deepEqual(
    collected.map(({ name, unit, kind }) => [name, unit, kind]),
    [
      ['http.client.request.duration', 's', 'histogram'],
      ['http.client.request.body.size', 'By', 'histogram'],
      ['http.client.response.body.size', 'By', 'histogram'],
      ['inmesh.client.attempts', '{attempt}', 'counter'],
      ['inmesh.client.retries', '{retry}', 'counter'],
      ['http.server.request.duration', 's', 'histogram'],
      ['inmesh.server.active_requests', '{request}', 'updown'],
    ],
  )
  const duration = find(collected, 'http.client.request.duration')
  assert.equal(duration?.kind === 'histogram' && duration.points[0]?.value.sum, 1.5)
  assert.equal(find(collected, 'inmesh.client.attempts')?.points[0]?.value, 3)
  assert.equal(find(collected, 'inmesh.client.retries')?.points[0]?.value, 2)
  assert.deepEqual(find(collected, 'http.server.request.duration')?.points[0]?.attributes, {
    'http.request.method': 'GET',
    'url.scheme': 'http',
    'network.protocol.version': '1.1',
    'http.response.status_code': 200,
    'http.route': '/x',
    'inmesh.connection.security_policy': 'none',
    'inmesh.destination.service': 'a',
  })
})

test('a gauge is read when metrics are collected, until it is taken away', () => {
  const stats = new Stats('a', new ManualClock())
  let value = 1
  const gauge = { name: 'g', description: '', unit: '1', kind: 'gauge', read: () => [{ attributes: {}, value }] } as const
  const remove = stats.observe(gauge)
  value = 2
  assert.deepEqual(find(stats.collect(), 'g')?.points, [{ attributes: {}, value: 2 }])
  remove()
  assert.equal(find(stats.collect(), 'g'), undefined)
})
