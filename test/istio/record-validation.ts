// Asks Istio for its verdict on everything in validation-cases.ts and writes it to control-plane/test/fixtures/validation.json.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { goProgram } from '../support/peers.ts'
import { validationCases } from './validation-cases.ts'

const input = JSON.stringify(validationCases.map(({ yaml }) => yaml))
const { stdout, stderr } = spawnSync(goProgram('test/istio/verdict'), { input, encoding: 'utf8', maxBuffer: 64 << 20 })
// Istio logs to the same stream.
const start = stdout.indexOf('\n[[') + 1
if (!stdout.startsWith('[', start)) throw new Error(`no verdict: ${stderr}`)
const errors: readonly (readonly string[])[] = JSON.parse(stdout.slice(start))
const recorded = validationCases.map(({ name, yaml }, index) => ({ name, yaml, accepted: errors[index]?.length === 0 }))
const file = join(import.meta.dirname, '../../control-plane/test/fixtures/validation.json')
mkdirSync(dirname(file), { recursive: true })
writeFileSync(file, `${JSON.stringify(recorded, null, 2)}\n`)
process.stdout.write(`${recorded.length} verdicts recorded\n`)
