// npm run test:istio [-- --record]
// Judges inmesh by Istio itself. With --record, asks a real Envoy on Istio's discovery server, and Istio for its verdict on documents,
// and rewrites fixture.json and gateway-fixture.json here and control-plane/test/fixtures/validation.json.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'

const here = import.meta.dirname
const recorders = ['record.ts', 'record-gateway.ts', 'record-validation.ts'].map(file => join(here, file))
const record = process.argv.includes('--record') ? recorders : []
const tests = globSync('*.test.ts', { cwd: here }).map(file => join(here, file))
const runs = [...record.map(script => [script]), ['--test', '--test-concurrency=1', '--test-timeout=300000', ...tests]]
for (const args of runs) {
  const { status } = spawnSync(process.execPath, [...process.execArgv, ...args], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
