import { selects } from './mesh-service.ts'
import type { ObjectMeta } from './object-meta.ts'

/** Istio's root namespace: policies in it without selector hold for the whole mesh. */
export const rootNamespace = 'istio-system'

/** `security.istio.io` PeerAuthentication. */
export interface PeerAuthentication {
  readonly meta: ObjectMeta
  /** `undefined`: every workload of the namespace; in the root namespace, of the mesh. */
  readonly selector: Readonly<Record<string, string>> | undefined
  readonly mode: MutualTlsMode | 'UNSET'
  /** By the port on which the workload listens. Only with a selector. */
  readonly portModes: ReadonlyMap<number, MutualTlsMode | 'UNSET'>
}

/** How a server takes connections: plain ones only, both kinds, or mutual TLS only. */
export type MutualTlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT'

/** What a policy selects a workload by. */
export interface WorkloadKey {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

/**
 * The mode of a port of a workload: that of the port, of the workload, of its namespace, of the mesh, in this order; UNSET is that of the next.
 * Of several policies of one kind the oldest wins. Default PERMISSIVE. As Istio has it.
 *
 * @param policies oldest first
 */
export function mutualTlsMode(
  policies: readonly PeerAuthentication[],
  { namespace, labels }: WorkloadKey,
  port: number,
): MutualTlsMode {
  const own = policies.find(({ meta, selector }) => meta.namespace === namespace && selector && selects(selector, labels))
  const ofNamespace = policies.find(({ meta, selector }) => meta.namespace === namespace && !selector)
  const ofMesh = policies.find(({ meta, selector }) => meta.namespace === rootNamespace && !selector)
  const modes = [own?.portModes.get(port), own?.mode, ofNamespace?.mode, ofMesh?.mode]
  return modes.find((mode): mode is MutualTlsMode => mode !== undefined && mode !== 'UNSET') ?? 'PERMISSIVE'
}
