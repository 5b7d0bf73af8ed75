import type { Bootstrap, CertificateProviderConfig } from '../discovery/bootstrap.ts'
import { workloadIdentity } from '../discovery/model/tls.ts'
import { MeshError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import type { CertificateProvider } from '../security/certificate-provider.ts'
import { Identities } from '../security/identities.ts'
import { tlsEnvironmentWarnings } from '../security/tls-environment.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** A provider whose first certificate can be waited for. */
export interface StartingProvider extends CertificateProvider {
  /** Rejects when there will never be one. */
  ready(): Promise<void>
}

/** A provider of the application's own, or one to be made, as an entry of `certificate_providers` in a bootstrap says it. */
export type GivenProviders = Readonly<
  Record<string, CertificateProvider | { readonly plugin_name: string; readonly config: CertificateProviderConfig['config'] }>
>

/** Who this process is, and what it waits for to know it. */
export interface FoundIdentities {
  readonly identities: Identities
  /** Resolves when every provider has its first certificate; rejects with MeshError `MESH_ERR_IDENTITY` when one never will. */
  ready(): Promise<void>
}

/**
 * Makes the certificate providers that the bootstrap and the environment name: those of `certificate_providers` (gRFC A29), and as `default`
 * the one of `SPIFFE_ENDPOINT_SOCKET` or `INMESH_JOIN_TOKEN`. The code of each is loaded only where it is wanted.
 *
 * @param given by the application, in the place of others of the same name
 * @throws MeshError `MESH_ERR_BOOTSTRAP` or `MESH_ERR_INVALID_ARG`
 */
export async function findIdentities(
  bootstrap: Bootstrap | undefined,
  given: GivenProviders,
  env: Environment,
  runtime: Runtime,
): Promise<FoundIdentities> {
  const providers = new Map<string, CertificateProvider>()
  const starting: StartingProvider[] = []
  const add = (instance: string, provider: StartingProvider) => {
    providers.set(instance, provider)
    starting.push(provider)
  }
  const { INMESH_JOIN_TOKEN: token, SPIFFE_ENDPOINT_SOCKET: socket } = env
  const isDefaultGiven = workloadIdentity in given
  if (socket && !isDefaultGiven) add(workloadIdentity, await workloadApi(socket, runtime))
  else if (token && !isDefaultGiven) add(workloadIdentity, await joinWith(token, bootstrap, runtime))
  const addPlugin = async (instance: string, pluginName: string, config: CertificateProviderConfig['config']) => {
    // Another library's plugin is an error only where it is used (gRFC A29).
    if (pluginName !== 'file_watcher') return
    const { fileProvider } = await import('../discovery/file-watcher.ts')
    add(instance, fileProvider(instance, config, runtime))
  }
  for (const [instance, { pluginName, config }] of Object.entries(bootstrap?.certificateProviders ?? {}))
    if (!(instance in given)) await addPlugin(instance, pluginName, config)
  for (const [instance, provider] of Object.entries(given)) {
    if ('plugin_name' in provider) await addPlugin(instance, provider.plugin_name, provider.config)
    else providers.set(instance, provider)
  }
  if (providers.size > 0) for (const warning of tlsEnvironmentWarnings(env, process.execArgv)) runtime.logger.warn(warning)
  const ready = async () => {
    await Promise.all(starting.map(provider => provider.ready()))
  }
  return { identities: new Identities(providers), ready: () => ready().catch(fail) }
}

async function joinWith(text: string, bootstrap: Bootstrap | undefined, runtime: Runtime): Promise<StartingProvider> {
  const [{ parseJoinToken }, { AuthoritySigner }, { RenewedCertificateProvider }] = await Promise.all([
    import('../security/join-token.ts'),
    import('../discovery/authority-signer.ts'),
    import('../security/renewed-certificate-provider.ts'),
  ])
  const token = parseJoinToken(text)
  // What was given may be a secret all the same.
  if (token === undefined) throw new MeshError('MESH_ERR_INVALID_ARG', 'INMESH_JOIN_TOKEN: is not a join token')
  if (bootstrap === undefined) throw new MeshError('MESH_ERR_BOOTSTRAP', 'INMESH_JOIN_TOKEN: there is no control plane to join')
  const [{ uri }] = bootstrap.servers
  const signer = new AuthoritySigner({ target: uri, credentials: { kind: 'join-token', token } })
  return new RenewedCertificateProvider({ signer, runtime })
}

async function workloadApi(socket: string, runtime: Runtime): Promise<StartingProvider> {
  const { WorkloadApiProvider } = await import('../discovery/workload-api.ts')
  try {
    return new WorkloadApiProvider({ socket, runtime })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new MeshError('MESH_ERR_INVALID_ARG', `SPIFFE_ENDPOINT_SOCKET: ${message}`, { cause })
  }
}

function fail(cause: unknown): never {
  const message = cause instanceof Error ? cause.message : String(cause)
  throw new MeshError('MESH_ERR_IDENTITY', `this workload gets no certificate: ${message}`, { cause })
}
