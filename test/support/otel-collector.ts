import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { goCommand } from './peers.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const version = 'v0.155.0'
const folder = join(root, 'node_modules/.cache/peers', `otel-collector-${version}`)

const manifest = `dist:
  name: collector
  output_path: ${folder}/build
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver ${version}
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/debugexporter ${version}
`

/** The path of an OpenTelemetry collector with an OTLP receiver and the debug exporter, built from its Go modules on first use. */
export function otelCollector(): string {
  const binary = join(folder, 'collector')
  if (existsSync(binary)) return binary
  process.stderr.write('Building the OpenTelemetry collector …\n')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'builder.yaml'), manifest)
  const args = ['run', `go.opentelemetry.io/collector/cmd/builder@${version}`, '--config', join(folder, 'builder.yaml')]
  const { status, stderr } = spawnSync(goCommand(), args, { cwd: folder, encoding: 'utf8', maxBuffer: 64 << 20 })
  if (status !== 0) throw new Error(`building the collector ended with ${status}\n${stderr}`)
  renameSync(join(folder, 'build/collector'), binary)
  return binary
}
