import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { JsonValue } from '@bufbuild/protobuf'
import { MeshError } from '../errors.ts'
import { jsonErrorPosition, jsonErrorReason } from './json-position.ts'
import { JsonReader } from './json-reader.ts'
import { type AuthorityConfig, readAuthorities } from './xds-authority.ts'
import { completeNode, type PartialNode, type ProcessIdentity, type XdsNode } from './xds-node.ts'
import { readServer, type XdsServer } from './xds-server.ts'

/** How to find a control plane and who to be for it (gRFC A27). */
export interface Bootstrap {
  /** In order of preference (gRFC A71). */
  readonly servers: readonly [XdsServer, ...XdsServer[]]
  /** The authorities of `xdstp:` names (gRFC A47); the empty one is that of names without any. */
  readonly authorities: ReadonlyMap<string, AuthorityConfig>
  readonly node: XdsNode
  /** Turns an authority into the name of a listener; every `%s` is the authority (gRFC A47). Default `%s`. */
  readonly listenerTemplate: string
  /** Turns the address of a server into the name of its listener (gRFC A36). `undefined`: servers are not configured. */
  readonly serverListenerTemplate: string | undefined
  /** A server whose listener the control plane does not have does not serve; else it serves without. */
  readonly requiresServerListener: boolean
  /** By instance name; those of unknown plugins are kept, since only their use is an error. */
  readonly certificateProviders: Readonly<Record<string, CertificateProviderConfig>>
}

/** An entry of `certificate_providers`. */
export interface CertificateProviderConfig {
  readonly pluginName: string
  readonly config: JsonValue
}

type Environment = Readonly<Record<string, string | undefined>>

/** What the control plane of this project and Istio call the listener of a server. */
const inboundTemplate = 'xds.istio.io/grpc/lds/inbound/%s'

/**
 * Reads the bootstrap that the environment names: the file of `GRPC_XDS_BOOTSTRAP`, else the JSON in `GRPC_XDS_BOOTSTRAP_CONFIG`,
 * else `INMESH_CONTROL_PLANE` (`host:port`, incremental xDS preferred, mutual TLS with `INMESH_JOIN_TOKEN` and else plaintext; its servers are configured from there too, unless
 * `INMESH_INBOUND` is `off`). Reading is as lenient as C-core's and Go's:
 * unknown fields, credentials and plugins are passed over and the node may be absent.
 *
 * @returns `undefined` when none of the three is set
 * @throws MeshError `MESH_ERR_BOOTSTRAP` naming the file and the line, or the JSON path
 */
export function loadBootstrap(
  env: Environment,
  readFile: (path: string) => string = path => readFileSync(path, 'utf8'),
  self: ProcessIdentity = thisProcess(),
): Bootstrap | undefined {
  const { GRPC_XDS_BOOTSTRAP: file, GRPC_XDS_BOOTSTRAP_CONFIG: inline, INMESH_CONTROL_PLANE: address } = env
  if (file) return loadBootstrapFile(file, env, readFile, self)
  if (inline) return parseBootstrap(parseJson(inline, 'GRPC_XDS_BOOTSTRAP_CONFIG'), 'GRPC_XDS_BOOTSTRAP_CONFIG', env, self)
  if (!address) return undefined
  if (!/^(\[[^\]]+\]|[^\s:/]+):\d{1,5}$/.test(address)) {
    throw new MeshError('MESH_ERR_BOOTSTRAP', `INMESH_CONTROL_PLANE: must be host:port, got ${JSON.stringify(address)}`)
  }
  return {
    servers: [
      {
        uri: address,
        credentials: { kind: env.INMESH_JOIN_TOKEN ? 'identity' : 'insecure' },
        callCredentials: [],
        features: [],
        delta: true,
      },
    ],
    authorities: new Map(),
    node: completeNode({}, env, self),
    listenerTemplate: '%s',
    serverListenerTemplate: env.INMESH_INBOUND === 'off' ? undefined : inboundTemplate,
    requiresServerListener: false,
    certificateProviders: {},
  }
}

/** Reads a bootstrap file. Its path is taken from where the process is now. See {@link loadBootstrap}. */
export function loadBootstrapFile(
  path: string,
  env: Environment,
  readFile: (path: string) => string = file => readFileSync(file, 'utf8'),
  self: ProcessIdentity = thisProcess(),
): Bootstrap {
  const absolute = resolve(path)
  let text: string
  try {
    text = readFile(absolute)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const named = path === env.GRPC_XDS_BOOTSTRAP ? ', which GRPC_XDS_BOOTSTRAP names,' : ''
    throw new MeshError('MESH_ERR_BOOTSTRAP', `bootstrap ${absolute}${named} cannot be read: ${reason}`, { cause })
  }
  return parseBootstrap(parseJson(text, absolute), absolute, env, self)
}

/**
 * Reads a bootstrap from its parsed JSON.
 *
 * @param source a name for messages: where the JSON came from
 */
export function parseBootstrap(
  json: unknown,
  source: string,
  env: Environment,
  self: ProcessIdentity = thisProcess(),
): Bootstrap {
  const root = JsonReader.of(json, message => new MeshError('MESH_ERR_BOOTSTRAP', `bootstrap ${source}: ${message}`))
  const [first, ...rest] = root.array('xds_servers').map(readServer)
  if (!first) throw root.error('xds_servers', 'must name at least one server')
  const servers: Bootstrap['servers'] = [first, ...rest]
  const node = root.object('node')
  const template = root.string('client_default_listener_resource_name_template')
  return {
    servers,
    authorities: readAuthorities(root, servers),
    node: completeNode(node ? readNode(node) : {}, env, self),
    listenerTemplate: template || '%s',
    serverListenerTemplate: root.string('server_listener_resource_name_template') || undefined,
    requiresServerListener: true,
    certificateProviders: readCertificateProviders(root),
  }
}

function readNode(node: JsonReader): PartialNode {
  const id = node.string('id')
  const cluster = node.string('cluster')
  const locality = node.object('locality')
  const metadata = node.object('metadata')
  return {
    ...(id === undefined ? {} : { id }),
    ...(cluster === undefined ? {} : { cluster }),
    ...(metadata === undefined ? {} : { metadata: metadata.fields }),
    ...(locality === undefined
      ? {}
      : {
          locality: {
            region: locality.string('region') ?? '',
            zone: locality.string('zone') ?? '',
            subZone: locality.string('sub_zone') ?? '',
          },
        }),
  }
}

function readCertificateProviders(root: JsonReader): Record<string, CertificateProviderConfig> {
  const providers: Record<string, CertificateProviderConfig> = {}
  const given = root.object('certificate_providers')
  for (const name of Object.keys(given?.fields ?? {})) {
    const provider = given?.object(name)
    if (provider) providers[name] = { pluginName: provider.string('plugin_name') ?? '', config: provider.fields.config ?? null }
  }
  return providers
}

function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const { line, column } = jsonErrorPosition(text)
    const message = `bootstrap ${source}:${line}:${column}: is not JSON: ${jsonErrorReason(cause)}`
    throw new MeshError('MESH_ERR_BOOTSTRAP', message, { cause })
  }
}

function thisProcess(): ProcessIdentity {
  return { hostname: hostname(), pid: process.pid, unique: randomUUID().slice(0, 8) }
}
