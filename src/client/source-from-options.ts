import { type Bootstrap, loadBootstrap, loadBootstrapFile, parseBootstrap } from '../discovery/bootstrap.ts'
import type { ConfigSource } from '../discovery/model/mesh-config.ts'
import type { XdsConfigSource } from '../discovery/xds-config-source.ts'
import { MeshError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { type FoundIdentities, findIdentities, type GivenProviders } from './find-identities.ts'

/** Where the configuration of a mesh comes from; the first of these that is given. */
export interface SourceOptions {
  /** A source made elsewhere. */
  readonly source?: ConfigSource
  /** An Envoy-format YAML or JSON file, with no control plane at all. Default: `INMESH_STATIC_CONFIG`. */
  readonly staticConfig?: string
  /** A gRPC bootstrap, or the path of one. Default: what `GRPC_XDS_BOOTSTRAP`, `GRPC_XDS_BOOTSTRAP_CONFIG` or `INMESH_CONTROL_PLANE` say. */
  readonly bootstrap?: string | object
  /** Where the last good configuration is kept. Default: `INMESH_CACHE_DIR`, else nowhere. */
  readonly cacheDir?: string
  /** Who this process is, by instance name (gRFC A29). Default: what the bootstrap, `SPIFFE_ENDPOINT_SOCKET` or `INMESH_JOIN_TOKEN` say. */
  readonly certificateProviders?: GivenProviders
}

type Environment = Readonly<Record<string, string | undefined>>

/** A source, what else it can do, and who this process is. */
export type FoundSource = { readonly identities: FoundIdentities } & (
  | { readonly kind: 'static'; readonly source: ConfigSource; readonly domains: readonly string[] }
  | { readonly kind: 'xds'; readonly source: XdsConfigSource; readonly bootstrap: Bootstrap }
  | { readonly kind: 'given'; readonly source: ConfigSource }
)

/**
 * Makes the source that the options, or else the environment, name. The code for a file is loaded only for a file.
 *
 * @throws MeshError `MESH_ERR_BOOTSTRAP` when nothing is named or the bootstrap is wrong, `MESH_ERR_CONFIG` when the file is
 */
export async function sourceFromOptions(options: SourceOptions, env: Environment, runtime: Runtime): Promise<FoundSource> {
  const { certificateProviders = {} } = options
  const find = (bootstrap?: Bootstrap) => findIdentities(bootstrap, certificateProviders, env, runtime)
  if (options.source !== undefined) return { kind: 'given', source: options.source, identities: await find() }
  const path = options.staticConfig ?? (options.bootstrap === undefined ? env.INMESH_STATIC_CONFIG : undefined)
  if (path !== undefined && path !== '') {
    const { loadStaticConfig } = await import('../discovery/static-config.ts')
    const source = await loadStaticConfig(path, runtime)
    return { kind: 'static', source, domains: source.domains, identities: await find() }
  }
  const bootstrap = bootstrapFrom(options.bootstrap, env)
  const { createXdsConfigSource } = await import('../discovery/xds-config-source.ts')
  const cacheDir = options.cacheDir ?? env.INMESH_CACHE_DIR
  const found = await find(bootstrap)
  const source = createXdsConfigSource({
    bootstrap,
    runtime,
    cacheDir: cacheDir === '' ? undefined : cacheDir,
    identities: found.identities,
  })
  return { kind: 'xds', source, bootstrap, identities: found }
}

function bootstrapFrom(given: string | object | undefined, env: Environment): Bootstrap {
  if (typeof given === 'string') return loadBootstrapFile(given, env)
  if (given !== undefined) return parseBootstrap(given, 'option', env)
  const bootstrap = loadBootstrap(env)
  if (bootstrap !== undefined) return bootstrap
  throw new MeshError(
    'MESH_ERR_BOOTSTRAP',
    'no control plane: set INMESH_CONTROL_PLANE, GRPC_XDS_BOOTSTRAP or GRPC_XDS_BOOTSTRAP_CONFIG, or INMESH_STATIC_CONFIG for a file',
  )
}
