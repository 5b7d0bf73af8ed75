import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Row } from './benchmark.ts'
import { median } from './median.ts'

/** A program to measure: a module run in a process of its own, with `settings` as JSON in its first argument. */
export interface Contender {
  readonly module: URL
  readonly settings: Readonly<Record<string, unknown>>
  /** Flags of `node`; default none, so that `inmesh` is the built package. */
  readonly execArgv?: readonly string[]
}

/** The last line a contender prints, as JSON: `value` is compared, the rest is reported beside it. */
export interface Sample {
  readonly value: number
  readonly [more: string]: number
}

/** What to compare. */
export interface Pairing {
  readonly name: string
  readonly unit: string
  readonly baseline: Contender
  readonly inmesh: Contender
  /** How many times each runs; the two alternate, so that a slow spell of the machine hits both. */
  readonly pairs: number
}

/** Runs both contenders alternately and reduces their samples to one row. */
export async function paired({ name, unit, baseline, inmesh, pairs }: Pairing): Promise<Row> {
  const samples: [Sample, Sample][] = []
  for (let pair = 0; pair < pairs; pair++) samples.push([await sample(baseline), await sample(inmesh)])
  return rowOf(name, unit, samples)
}

/** Medians of each side, and the median of the ratios within the pairs. */
export function rowOf(name: string, unit: string, samples: readonly (readonly [baseline: Sample, inmesh: Sample])[]): Row {
  const side = (index: 0 | 1, key: string) => median(samples.map(pair => pair[index][key] ?? Number.NaN))
  const more: Record<string, number> = {}
  for (const key of Object.keys(samples[0]?.[0] ?? {}).filter(key => key !== 'value')) {
    more[`baseline.${key}`] = side(0, key)
    more[`inmesh.${key}`] = side(1, key)
  }
  return {
    name,
    unit,
    baseline: side(0, 'value'),
    inmesh: side(1, 'value'),
    ratio: median(samples.map(([base, mesh]) => mesh.value / base.value)),
    pairs: samples.length,
    ...more,
  }
}

/**
 * Runs one contender to its end.
 *
 * @throws Error with what it wrote to standard error when it fails or prints no sample
 */
export async function sample({ module, settings, execArgv = [] }: Contender): Promise<Sample> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(process.execPath, [...execArgv, fileURLToPath(module), JSON.stringify(settings)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', chunk => out.push(chunk))
  child.stderr.on('data', chunk => err.push(chunk))
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const last = Buffer.concat(out).toString().trim().split('\n').at(-1)
  if (code !== 0 || !last) throw new Error(`${fileURLToPath(module)} ended with ${code}: ${Buffer.concat(err).toString().trim()}`)
  return JSON.parse(last)
}
