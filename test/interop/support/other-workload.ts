import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Authority, certificateFor } from '../../support/workload-certificate.ts'
import type { ClientBootstrap } from './xds-client.ts'

/** Who a workload is that is not ours. */
export interface OtherWorkload {
  readonly spiffeId: string
  readonly labels?: Readonly<Record<string, string>>
}

/**
 * The bootstrap of gRPC for a workload with a certificate of the authority in files: to the control plane by mutual TLS, and the provider
 * `default` for its own connections (gRFC A29, A36).
 */
export async function secureBootstrap(
  t: TestContext,
  authority: Authority,
  { spiffeId, labels = {} }: OtherWorkload,
): Promise<ClientBootstrap> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-other-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { certificateChain, privateKey, roots } = await certificateFor(authority, spiffeId)
  const files = {
    certificate_file: join(folder, 'chain.pem'),
    private_key_file: join(folder, 'key.pem'),
    ca_certificate_file: join(folder, 'roots.pem'),
  }
  await writeFile(files.certificate_file, certificateChain)
  await writeFile(files.private_key_file, privateKey)
  await writeFile(files.ca_certificate_file, roots)
  const json = {
    xds_servers: [
      { server_uri: authority.address, channel_creds: [{ type: 'tls', config: files }], server_features: ['xds_v3'] },
    ],
    node: { id: spiffeId, metadata: { LABELS: labels } },
    certificate_providers: { default: { plugin_name: 'file_watcher', config: { ...files, refresh_interval: '600s' } } },
    server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
  }
  const file = join(folder, 'bootstrap.json')
  await writeFile(file, JSON.stringify(json))
  return { json, file }
}
