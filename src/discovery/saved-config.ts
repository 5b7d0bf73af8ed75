import type { LbEndpoint } from './model/endpoint.ts'
import type { ClusterState, InboundRoutes, InboundState, TargetState } from './model/mesh-config.ts'

type ReadyTarget = Extract<TargetState, { kind: 'ready' }>

/** A tree as it is kept in a file: only what can be used. */
export interface SavedConfig {
  /** Wall-clock time of writing, in milliseconds. */
  readonly savedAt: number
  readonly targets: ReadonlyMap<string, SavedTarget>
  readonly clusters: ReadonlyMap<string, SavedCluster>
  readonly inbound: ReadonlyMap<string, SavedInbound>
  /** By type URL and name. */
  readonly versions: SavedVersions
}

/** A cluster that can be used. */
export type SavedCluster = Extract<ClusterState, { kind: 'ready' }>

/** The listener of a server that can be used. */
export type SavedInbound = Extract<InboundState, { kind: 'ready' }>

/** An authority and when it was last known to be right. */
export interface SavedTarget {
  readonly at: number
  readonly state: ReadyTarget
}

export type SavedVersions = Readonly<Record<string, Readonly<Record<string, string>>>>

/** One line of the file. */
type Line =
  | { readonly kind: 'header'; readonly format: string; readonly savedAt: number; readonly versions: SavedVersions }
  | { readonly kind: 'target'; readonly authority: string; readonly at: number; readonly state: ReadyTarget }
  | { readonly kind: 'cluster'; readonly name: string; readonly state: SavedCluster }
  | {
      readonly kind: 'inbound'
      readonly name: string
      readonly listener: SavedInbound['listener']
      readonly routes: readonly (readonly [string, InboundRoutes])[]
    }
  | { readonly kind: 'endpoints'; readonly locality: number; readonly endpoints: readonly LbEndpoint[] }
  | { readonly kind: 'end'; readonly lines: number }

/** A file of another form is not read. Changes with the model. */
const format = 'inmesh-config 4'
/** Endpoints in one line: well under a millisecond of work. */
const endpointsPerLine = 500

/**
 * Writes a tree as lines of JSON, one piece of work small enough not to hold the event loop at a time. The lines are of the decoded
 * model, so that reading them takes no protobuf.
 */
export function* writeConfig({
  savedAt,
  targets,
  clusters,
  inbound,
  versions,
}: SavedConfig): Generator<undefined, string, undefined> {
  const lines: string[] = []
  const add = (line: Line) => {
    lines.push(JSON.stringify(line, keepInfinity))
  }
  add({ kind: 'header', format, savedAt, versions })
  for (const [authority, { at, state }] of targets) {
    add({ kind: 'target', authority, at, state })
    yield undefined
  }
  for (const [name, { listener, routeConfigurations }] of inbound) {
    add({ kind: 'inbound', name, listener, routes: [...routeConfigurations] })
    yield undefined
  }
  for (const [name, state] of clusters) {
    const { assignment } = state
    const localities = assignment.localities.map(locality => ({ ...locality, endpoints: [] }))
    add({ kind: 'cluster', name, state: { ...state, assignment: { ...assignment, localities } } })
    for (const [locality, { endpoints }] of assignment.localities.entries()) {
      for (let from = 0; from < endpoints.length; from += endpointsPerLine) {
        add({ kind: 'endpoints', locality, endpoints: endpoints.slice(from, from + endpointsPerLine) })
        yield undefined
      }
    }
    yield undefined
  }
  add({ kind: 'end', lines: lines.length })
  return `${lines.join('\n')}\n`
}

/**
 * Reads what {@link writeConfig} wrote.
 *
 * @throws Error when the text is of another form, damaged or cut short
 */
export function readConfig(text: string): SavedConfig {
  const lines = text.split('\n')
  const header = parseLine(lines[0])
  if (header.kind !== 'header' || header.format !== format) throw new Error(`not a file of the form ${JSON.stringify(format)}`)
  const end = parseLine(lines.at(-2))
  if (end.kind !== 'end' || end.lines !== lines.length - 2) throw new Error('the file is cut short')

  const targets = new Map<string, SavedTarget>()
  const clusters = new Map<string, SavedCluster>()
  const inbound = new Map<string, SavedInbound>()
  let endpoints: LbEndpoint[][] = []
  for (const text of lines.slice(1, -2)) {
    const line = parseLine(text)
    if (line.kind === 'target') targets.set(line.authority, { at: line.at, state: line.state })
    else if (line.kind === 'inbound')
      inbound.set(line.name, { kind: 'ready', listener: line.listener, routeConfigurations: new Map(line.routes) })
    else if (line.kind === 'endpoints') endpoints[line.locality]?.push(...line.endpoints)
    else if (line.kind === 'cluster') {
      endpoints = line.state.assignment.localities.map(() => [])
      const filling = endpoints
      const localities = line.state.assignment.localities.map((locality, at) => ({ ...locality, endpoints: filling[at] ?? [] }))
      clusters.set(line.name, { ...line.state, assignment: { ...line.state.assignment, localities } })
    }
  }
  return { savedAt: header.savedAt, targets, clusters, inbound, versions: header.versions }
}

/** JSON has no word for what is unlimited. */
const infinity = '\u0000Infinity'

function keepInfinity(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? infinity : value
}

function parseLine(text: string | undefined): Line {
  if (!text) throw new Error('the file is cut short')
  const line: unknown = text.includes('\\u0000Infinity')
    ? JSON.parse(text, (_key, value: unknown) => (value === infinity ? Number.POSITIVE_INFINITY : value))
    : JSON.parse(text)
  if (!isLine(line)) throw new Error('a line has no kind')
  return line
}

/** The file is only ever written by {@link writeConfig}, whole: its form stands for what its lines hold. */
function isLine(value: unknown): value is Line {
  return typeof value === 'object' && value !== null && 'kind' in value
}
