import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { goProgram } from '../test/support/peers.ts'
import type { Benchmark } from './benchmark.ts'
import { rowOf, type Sample } from './paired.ts'

const clusters = 100
const changesPerSecond = 5
const ticksPerSecond = 100

const here = (file: string) => fileURLToPath(new URL(`push/${file}`, import.meta.url))

interface Measured {
  readonly p50: number
  readonly p99: number
  readonly cpu: number
  readonly rss: number
  readonly more: Readonly<Record<string, number>>
}

/** Control plane against go-control-plane: the same swarm of delta clients, the same changes. */
export const benchmark: Benchmark = {
  name: 'push',
  title: `go-control-plane's LinearCache / our control plane: delta clients × ${clusters} assignments × 10 endpoints, ${changesPerSecond} changes a second`,
  async *run({ quick }) {
    const clients = quick ? 200 : 1000
    const seconds = quick ? 3 : 15
    const pairs = quick ? 1 : 3
    const baseline = [goProgram('bench/push/gcp')]
    const inmesh = [process.execPath, here('server.ts')]
    const measured: (readonly [Measured, Measured])[] = []
    for (let pair = 0; pair < pairs; pair++) {
      measured.push([await measure(baseline, clients, seconds), await measure(inmesh, clients, seconds)])
    }
    const row = (name: string, unit: string, pick: (sample: Measured) => Sample) =>
      rowOf(
        name,
        unit,
        measured.map(([base, mesh]) => [pick(base), pick(mesh)]),
      )
    yield row('push', 'ms until a client has it, p99', ({ p99, more }) => ({ value: p99, clients, ...more }))
    yield row('push/p50', 'ms until a client has it, p50', ({ p50 }) => ({ value: p50 }))
    yield row('push/cpu', 'ms CPU of the server/change', ({ cpu }) => ({ value: cpu }))
    yield row('push/memory', 'MB of the server', ({ rss }) => ({ value: rss }))
  },
}

async function measure(command: readonly string[], clients: number, seconds: number): Promise<Measured> {
  const [program = '', ...args] = command
  const server = start(program, [...args, String(clusters), String(changesPerSecond)])
  try {
    const address = await server.line()
    const swarm = start(process.execPath, [here('swarm.ts'), address, String(clients), String(clusters)])
    try {
      await swarm.line()
      server.say()
      // The first changes pay for what is compiled late.
      await pause(1000)
      const before = cpuOf(server.child)
      await pause(seconds * 1000)
      const used = cpuOf(server.child) - before
      const rss = rssOf(server.child)
      swarm.say()
      const { p50, p99, ...more } = JSON.parse(await swarm.line())
      return { p50, p99, cpu: (used * 1000) / (seconds * changesPerSecond), rss, more }
    } finally {
      swarm.child.kill()
    }
  } finally {
    server.child.kill()
  }
}

function start(program: string, args: readonly string[]) {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return {
    child,
    async line(): Promise<string> {
      const { value, done } = await lines.next()
      if (done) throw new Error(`${program} ${args.join(' ')} ended early`)
      return value
    },
    say: () => child.stdin.write('\n'),
  }
}

/** Seconds of CPU of a process so far. */
function cpuOf({ pid }: ChildProcess): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(afterName[11]) + Number(afterName[12])) / ticksPerSecond
}

/** Resident memory of a process in MB. */
function rssOf({ pid }: ChildProcess): number {
  const [, kilobytes] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+) kB/) ?? []
  return Number(kilobytes) / 1024
}
