import type { TestContext } from 'node:test'
import { FakeAdsServer, type FakeAdsServerOptions } from '../../support/fake-ads-server.ts'
import { type ContestantName, DefectClient, startContestant } from './defect-client.ts'

/** Both clients on one control plane. */
export interface DefectStage {
  readonly server: FakeAdsServer
  readonly theirs: DefectClient
  readonly ours: DefectClient
  /** Applies a change to the control plane, and resolves when both clients have answered the response of this type that follows. */
  change(typeUrl: string, change: () => void): Promise<void>
}

/** Options of {@link setStage}. */
export interface DefectStageOptions extends FakeAdsServerOptions {
  /** Of the control plane, in the bootstrap. */
  readonly features?: readonly string[]
  /** Default: {@link bootstrapFor} with these features. */
  readonly bootstrap?: (address: string, id: ContestantName) => object
}

/** A bootstrap that both clients take. */
export const bootstrapFor = (address: string, id: string, features: readonly string[] = []) => ({
  xds_servers: [{ server_uri: address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3', ...features] }],
  // grpc-js-xds refuses a node without a locality.
  node: { id, locality: { region: 'test' } },
})

/** Starts a control plane and both clients, and ends them with the test. */
export async function setStage(t: TestContext, options: DefectStageOptions = {}): Promise<DefectStage> {
  const { features, bootstrap = (address: string, id: string) => bootstrapFor(address, id, features) } = options
  const server = await FakeAdsServer.start({ protocols: ['sotw'], ...options })
  t.after(() => server.stop())
  const start = async (name: ContestantName) => {
    const client = new DefectClient(name, await startContestant[name](bootstrap(server.target, name)), server)
    t.after(() => client.close())
    return client
  }
  const theirs = await start('grpc-js-xds')
  const ours = await start('inmesh')
  const change = async (typeUrl: string, apply: () => void) => {
    const both = [theirs.answers(typeUrl, () => {}), ours.answers(typeUrl, () => {})]
    apply()
    await Promise.all(both)
  }
  return { server, theirs, ours, change }
}
