import { createMesh, type Mesh } from '../../src/index.ts'
import type { Backends } from './backends.ts'
import { askMesh } from './compare.ts'
import { callerNamespaces, type GatewayCase, gatewayCases } from './gateway-cases.ts'
import { serviceOf } from './gateway-documents.ts'
import { startSidecar } from './istio.ts'
import { type Ask, askProxy, type Observation, observe } from './observe.ts'

/** The client, once for each namespace of callers. */
export interface GatewayClients {
  /** Everything a case asks, by a caller of its namespace. */
  observe(aCase: GatewayCase, index: number): Promise<Observation[]>
  close(): Promise<void>
}

/** Clients on the control plane at `address`. */
export async function startClients(address: string, backends: Backends): Promise<GatewayClients> {
  const meshes = new Map<string, Mesh>()
  for (const namespace of callerNamespaces) {
    const node = {
      id: `sidecar~127.0.0.1~a.${namespace}~${namespace}.svc.cluster.local`,
      metadata: { GENERATOR: 'grpc', NAMESPACE: namespace },
    }
    const server = { server_uri: address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }
    const hosts = ['*.svc.cluster.local', '*.test']
    meshes.set(namespace, await createMesh({ bootstrap: { xds_servers: [server], node }, env: {}, hosts, localReplies: true }))
  }
  return {
    observe(aCase, index) {
      const mesh = meshes.get(aCase.caller ?? callerNamespaces[0])
      if (!mesh) throw new Error(`${aCase.name}: nobody calls from ${aCase.caller}`)
      return observeCase(askMesh(mesh.dispatcher), backends, aCase, index)
    },
    async close() {
      for (const mesh of meshes.values()) await mesh.close()
    },
  }
}

/** Everything the cases ask, of a real Envoy on the control plane at `address`; nothing for cases of callers that are elsewhere than it. */
export async function observeProxy(
  address: string,
  backends: Backends,
): Promise<ReadonlyMap<GatewayCase, readonly Observation[]>> {
  const sidecar = await startSidecar(address)
  try {
    const observed = new Map<GatewayCase, readonly Observation[]>()
    for (const [index, aCase] of gatewayCases.entries())
      if (!aCase.caller) observed.set(aCase, await observeCase(askProxy, backends, aCase, index))
    return observed
  } finally {
    await sidecar.close()
  }
}

function observeCase(ask: Ask, backends: Backends, { requests, asksEntry }: GatewayCase, index: number): Promise<Observation[]> {
  const service = serviceOf(index)
  return observe(ask, backends, { requests }, asksEntry ? `${service}-entry.test` : `${service}.default.svc.cluster.local`)
}

/** Of answers. */
export const statusesOf = (observed: readonly Observation[]): readonly number[] =>
  observed.map(each => (each.kind === 'answer' ? each.status : 0))
