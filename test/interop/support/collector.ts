import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePorts } from '../../support/free-ports.ts'
import { otelCollector } from '../../support/otel-collector.ts'

/** A block of the debug exporter's text: a span, or a metric with its points. */
export interface Block {
  readonly resource: string
  /** Name and version of the instrumentation scope. */
  readonly scope: string
  readonly lines: readonly string[]
}

/** A collector whose debug exporter is read as text, so that what is compared is what it understood. */
export class Collector {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly endpoint: string
  readonly #lines: string[] = []

  private constructor(child: ChildProcess, folder: string, endpoint: string) {
    this.#child = child
    this.#folder = folder
    this.endpoint = endpoint
    if (child.stderr) createInterface(child.stderr).on('line', line => this.#lines.push(line))
  }

  static async start(protocol: 'http' | 'grpc'): Promise<Collector> {
    const folder = mkdtempSync(join(tmpdir(), 'inmesh-collector-'))
    const [port = 0] = await freePorts(1)
    const endpoint = `127.0.0.1:${port}`
    const pipeline = { receivers: ['otlp'], exporters: ['debug'] }
    const config = {
      receivers: { otlp: { protocols: { [protocol]: { endpoint } } } },
      exporters: { debug: { verbosity: 'detailed' } },
      service: { pipelines: { traces: pipeline, metrics: pipeline }, telemetry: { metrics: { level: 'none' } } },
    }
    const path = join(folder, 'config.yaml')
    writeFileSync(path, JSON.stringify(config))
    const child = spawn(otelCollector(), ['--config', path], { stdio: ['ignore', 'ignore', 'pipe'] })
    const collector = new Collector(child, folder, endpoint)
    await collector.until(lines => lines.some(line => line.includes('Everything is ready')))
    return collector
  }

  async until(condition: (lines: readonly string[]) => boolean): Promise<void> {
    while (!condition(this.#lines)) {
      if (this.#child.exitCode !== null) throw new Error(`the collector ended:\n${this.#lines.join('\n')}`)
      if (this.#child.stderr) await once(this.#child.stderr, 'data')
    }
  }

  spans(): Block[] {
    return this.#blocks(/^Span #\d+/)
  }

  metrics(): Block[] {
    return this.#blocks(/^Metric #\d+/)
  }

  stop(): void {
    this.#child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true })
  }

  #blocks(start: RegExp): Block[] {
    const blocks: { resource: string; scope: string; lines: string[] }[] = []
    let resource: string[] = []
    let scope = ''
    let block: string[] | null = null
    let isResource = false
    for (const line of this.#lines) {
      const named = /^InstrumentationScope (.*)$/.exec(line)
      if (/(^|\t)Resource(Spans|Metrics) #\d+$/.test(line)) {
        resource = []
        block = null
        isResource = true
      } else if (/^Scope(Spans|Metrics) #\d+/.test(line)) {
        isResource = false
        block = null
      } else if (named !== null) {
        scope = named[1]?.trim() ?? ''
      } else if (start.test(line)) {
        block = []
        blocks.push({ resource: resource.join('\n'), scope, lines: block })
      } else if (isResource) {
        resource.push(line.trim())
      } else {
        block?.push(line.trim())
      }
    }
    return blocks
  }
}

/** `service.name` of the resource. */
export const serviceOf = ({ resource }: Block) => /service\.name: Str\(([^)]*)\)/.exec(resource)?.[1]

/** A field of a span, or of a metric's descriptor. */
export const field = ({ lines }: Block, name: string) =>
  lines.find(line => new RegExp(`^(-> )?${name}\\s*:`).test(line))?.replace(/^[^:]*:\s*/, '')

/** By name, without those of a span's events. */
export function attributes({ lines }: Block): Record<string, string> {
  const eventsAt = lines.indexOf('Events:')
  return attributesIn(eventsAt < 0 ? lines : lines.slice(0, eventsAt))
}

/** Attributes among lines of text, by name. */
export function attributesIn(lines: readonly string[]): Record<string, string> {
  const found = lines.map(line => /^-> ([\w.]+): ((?:Str|Int|Bool|Double|Slice|Map)\(.*\))$/.exec(line))
  return Object.fromEntries(found.flatMap(match => (match === null ? [] : [[match[1], match[2]]])))
}

/** The lines of each data point of a metric. */
export function points({ lines }: Block): readonly (readonly string[])[] {
  const found: string[][] = []
  for (const line of lines) {
    if (/^\w*DataPoints #\d+/.test(line)) found.push([])
    else found.at(-1)?.push(line)
  }
  return found
}
