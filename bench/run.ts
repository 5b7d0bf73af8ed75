import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Benchmark, Row } from './benchmark.ts'
import { table } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
})

const known = readdirSync(import.meta.dirname)
  .filter(file => isBenchmark(file))
  .map(file => file.slice(0, -'.ts'.length))

const unknown = positionals.filter(name => !known.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`Unknown benchmark ${unknown.join(', ')}; one of: ${known.join(', ')}\n`)
  process.exit(64)
}

const failed: string[] = []
for (const name of positionals.length > 0 ? positionals : known) await run(name)
if (failed.length > 0) {
  process.stderr.write(`Failed: ${failed.join(', ')}\n`)
  process.exit(1)
}

async function run(name: string): Promise<void> {
  const { benchmark }: { benchmark: Benchmark } = await import(`./${name}.ts`)
  if (!values.json) process.stdout.write(`\n${benchmark.name}: ${benchmark.title}\n`)
  const rows: Row[] = []
  try {
    for await (const row of benchmark.run({ quick: values.quick })) {
      rows.push(row)
      if (values.json) process.stdout.write(`${JSON.stringify(row)}\n`)
      else if (process.stderr.isTTY) process.stderr.write(`  ${row.name} done\n`)
    }
  } catch (error) {
    failed.push(name)
    process.stderr.write(`${name}: ${error instanceof Error ? error.stack : error}\n`)
  }
  if (!values.json && rows.length > 0) process.stdout.write(`${table(rows)}\n`)
}

/** A module of this folder that exports `benchmark`; the others are what those are made of. Told without importing all of them. */
function isBenchmark(file: string): boolean {
  return file.endsWith('.ts') && /^export const benchmark\b/m.test(readFileSync(join(import.meta.dirname, file), 'utf8'))
}
