import { readFile } from 'node:fs/promises'
import type { DescMessage, JsonValue, MessageShape } from '@bufbuild/protobuf'
import { MeshError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { ConfigFile } from './config-file.ts'
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts'
import { TrafficDirection } from './gen/envoy/config/core/v3/base_pb.ts'
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts'
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts'
import { type InboundListener, isInboundListener } from './model/inbound-listener.ts'
import type { Listener } from './model/listener.ts'
import { decodeCluster } from './resources/cluster.ts'
import { decodeClusterLoadAssignment } from './resources/cluster-load-assignment.ts'
import { decodeInboundListener } from './resources/inbound-listener.ts'
import { decodeListener, isHttpListener } from './resources/listener.ts'
import { Problems } from './resources/problems.ts'
import { decodeRouteConfiguration } from './resources/route-configuration.ts'
import { loadTypedStructs } from './resources/typed-struct.ts'
import { StaticConfigSource, type StaticResources } from './static-config-source.ts'
import { type JsonProblem, readTypedJson } from './typed-json.ts'

/**
 * Reads a file of Envoy resources, in YAML or JSON, that takes the place of a control plane: an Envoy bootstrap
 * (`static_resources: {listeners, clusters}`) or the lists themselves at the top. Beside Envoy's there may be `routes`
 * (RouteConfiguration, for listeners that name one by `rds`) and `endpoints` (ClusterLoadAssignment, for EDS clusters).
 * Everything else of a bootstrap is none of a client's business and skipped.
 *
 * @throws MeshError `MESH_ERR_CONFIG` with every mistake on a line of its own, each with file, line, column and field
 */
export async function loadStaticConfig(path: string, runtime: Runtime): Promise<StaticConfigSource> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new MeshError('MESH_ERR_CONFIG', `cannot read ${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  await loadTypedStructs()
  return new StaticConfigSource(new StaticConfigReader(new ConfigFile(path, text), runtime).read())
}

type Path = readonly (string | number)[]

class StaticConfigReader {
  readonly #file: ConfigFile
  readonly #runtime: Runtime
  readonly #errors: string[]

  constructor(file: ConfigFile, runtime: Runtime) {
    this.#file = file
    this.#runtime = runtime
    this.#errors = [...file.errors]
  }

  read(): StaticResources {
    if (this.#errors.length === 0 && !isObject(this.#file.value))
      this.#errors.push(`${this.#file.locate([])}: must be an object with static_resources, or listeners and clusters`)
    const listeners = this.#readAll('listeners', ListenerSchema, (message, problems): Listener | InboundListener | undefined => {
      if (message.trafficDirection === TrafficDirection.INBOUND) return decodeInboundListener(message, problems)
      if (isHttpListener(message)) return decodeListener(message, problems)
      this.#runtime.logger.warn(`listener "${message.name}" of ${this.#file.path} has no HTTP connection manager and is skipped`)
      return undefined
    })
    const resources: StaticResources = {
      listeners: listeners.filter((each): each is Listener => !isInboundListener(each)),
      inboundListeners: listeners.filter(isInboundListener),
      routeConfigurations: this.#readAll('routes', RouteConfigurationSchema, decodeRouteConfiguration),
      clusters: this.#readAll('clusters', ClusterSchema, decodeCluster),
      assignments: [
        ...this.#readAll('endpoints', ClusterLoadAssignmentSchema, decodeClusterLoadAssignment),
        ...this.#readAll('load_assignment', ClusterLoadAssignmentSchema, decodeClusterLoadAssignment),
      ],
    }
    if (this.#errors.length > 0) throw new MeshError('MESH_ERR_CONFIG', this.#errors.join('\n'))
    return resources
  }

  #readAll<Desc extends DescMessage, T>(
    field: string,
    schema: Desc,
    decode: (message: MessageShape<Desc>, problems: Problems) => T | undefined,
  ): T[] {
    const names = new Set<string>()
    const decoded: T[] = []
    for (const { path, json } of this.#entries(field)) {
      const name = nameOf(json)
      if (name !== '' && names.has(name)) this.#errors.push(`${this.#file.locate(path)}: ${schema.name} "${name}" is there twice`)
      names.add(name)
      const value = this.#readOne(path, json, name, schema, decode)
      if (value !== undefined) decoded.push(value)
    }
    return decoded
  }

  #readOne<Desc extends DescMessage, T>(
    path: Path,
    json: JsonValue,
    name: string,
    schema: Desc,
    decode: (message: MessageShape<Desc>, problems: Problems) => T | undefined,
  ): T | undefined {
    const label = `${schema.name} ${JSON.stringify(name)}`
    const mistakes: JsonProblem[] = []
    const message = readTypedJson(schema, json, path, mistakes)
    for (const mistake of mistakes) {
      const field = fieldPath(mistake.path.slice(path.length))
      this.#errors.push(`${this.#file.locate(mistake.path)}: ${label}: ${field}${mistake.message}`)
    }
    if (message === undefined) return undefined
    const problems = Problems.of(label)
    const value = decode(message, problems)
    for (const problem of problems.found) {
      const rest = problem.slice(label.length + 2)
      this.#errors.push(`${this.#file.locateField(path, rest.slice(0, rest.indexOf(': ')))}: ${problem}`)
    }
    return value
  }

  /** The elements of a list at the top, of the same list under `static_resources`, or a single value in their place. */
  *#entries(field: string): Generator<{ readonly path: Path; readonly json: JsonValue }> {
    const root = this.#file.value
    const places: readonly (readonly [Path, unknown])[] = [
      [['static_resources', field], property(property(root, 'static_resources'), field)],
      [[field], property(root, field)],
    ]
    for (const [path, value] of places) {
      if (value === undefined || value === null) continue
      if (Array.isArray(value)) for (const [index, json] of value.entries()) yield { path: [...path, index], json }
      else if (isObject(value) && field === 'load_assignment') yield { path, json: value as JsonValue }
      else this.#errors.push(`${this.#file.locate(path)}: ${path.join('.')} must be a list`)
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function property(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined
}

function nameOf(json: JsonValue): string {
  for (const field of ['name', 'cluster_name', 'clusterName']) {
    const name = property(json, field)
    if (typeof name === 'string') return name
  }
  return ''
}

function fieldPath(path: Path): string {
  if (path.length === 0) return ''
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? step : `.${step}`
  }
  return `${text}: `
}
