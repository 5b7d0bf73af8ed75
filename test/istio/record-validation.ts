// Asks Istio for its verdict on everything in validation-cases.ts and security-validation-cases.ts, and writes it to the folder
// control-plane/test/fixtures.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { goProgram } from '../support/peers.ts'
import { securityValidationCases } from './security-validation-cases.ts'
import { type ValidationCase, validationCases } from './validation-cases.ts'

const folder = join(import.meta.dirname, '../../control-plane/test/fixtures')

function record(cases: readonly ValidationCase[], file: string): void {
  const input = JSON.stringify(cases.map(({ yaml }) => yaml))
  const { stdout, stderr } = spawnSync(goProgram('test/istio/verdict'), { input, encoding: 'utf8', maxBuffer: 64 << 20 })
  // Istio logs to the same stream.
  const start = stdout.indexOf('\n[[') + 1
  if (!stdout.startsWith('[', start)) throw new Error(`no verdict: ${stderr}`)
  const errors: readonly (readonly string[])[] = JSON.parse(stdout.slice(start))
  const recorded = cases.map(({ name, yaml }, index) => ({ name, yaml, accepted: errors[index]?.length === 0 }))
  writeFileSync(join(folder, file), `${JSON.stringify(recorded, null, 2)}\n`)
  process.stdout.write(`${recorded.length} verdicts recorded in ${file}\n`)
}

mkdirSync(folder, { recursive: true })
record(validationCases, 'validation.json')
record(securityValidationCases, 'security-validation.json')
