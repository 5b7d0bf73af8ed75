import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { BadConfigurationError, FileConfiguration } from '../src/file-configuration.ts'
import { listenerType } from '../src/xds/resource-type.ts'
import { serviceYaml, workload } from './support/translate.ts'

test('a folder is served, a bad change is logged with its place and refused, a good one is pushed', t => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-configuration-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const clock = new ManualClock()
  const lines: string[] = []
  const log = (severity: string) => (message: string) => lines.push(`${severity} ${message}`)
  const logger = { debug() {}, info: log('info'), warn: log('warn'), error: log('error') }
  const write = (text: string) => writeFileSync(join(folder, 'mesh.yaml'), text)
  write(serviceYaml('reviews'))
  const configuration = new FileConfiguration({ folder, runtime: { clock, logger } })
  t.after(() => configuration.close())
  let pushes = 0
  configuration.onChange(() => pushes++)
  const view = configuration.viewOf(undefined) ?? assert.fail('refused')
  const listeners = () =>
    [...(configuration.resourcesOf(view)?.resources.get(listenerType)?.keys() ?? [])].filter(name => !/[.:]/.test(name))
  const tick = () => {
    clock.advance(2000)
    clock.advance(100)
  }
  assert.deepEqual(listeners(), ['reviews'])

  write(serviceYaml('reviews') + serviceYaml('ratings', '[{ port: 0 }]'))
  tick()
  assert.deepEqual(listeners(), ['reviews'])
  assert.equal(pushes, 0)
  assert.deepEqual(lines.slice(1), [
    'error the change is refused, revision 1 goes on',
    `error ${join(folder, 'mesh.yaml')}:9:47: Service default/ratings: spec.ports[0].port: must be in [1, 65535], got 0`,
  ])

  write(serviceYaml('reviews') + serviceYaml('ratings'))
  tick()
  assert.deepEqual(listeners(), ['ratings', 'reviews'])
  configuration.setWorkloads([workload(1, { service: 'web' })])
  assert.deepEqual(listeners(), ['ratings', 'reviews', 'web'])
  assert.equal(pushes, 2)
  assert.equal(configuration.resourcesOf(view)?.revision, '3')

  for (let i = 0; i < 2; i++) configuration.setWorkloads([workload(1, { service: 'reviews', labels: { app: 'other' } })])
  assert.equal(lines.filter(line => line.startsWith('warn a workload serves nothing')).length, 1)
})

test('a folder with errors to begin with cannot be served, and the error says why', t => {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-configuration-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'mesh.yaml'), 'kind: Service')
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  assert.throws(
    () => new FileConfiguration({ folder, runtime: { clock: new ManualClock(), logger } }),
    (error: unknown) =>
      error instanceof BadConfigurationError && error.message === `${join(folder, 'mesh.yaml')}:1:1: apiVersion: is required`,
  )
})
