import type { DeclaredMtlsMode, MtlsMode, PeerAuthentication } from '../../model/peer-authentication.ts'
import { defaultRootNamespace, type PolicyScope, type PolicyTarget, selectedPolicies } from './selected-policies.ts'

/**
 * How a port of a workload takes connections. The narrowest policy wins, of the port before the workload before the namespace before
 * the mesh, and of several in one scope the oldest; what is unset is taken from the next wider one, at last PERMISSIVE. A policy
 * with a selector in the root namespace has no effect (Istio).
 *
 * @param port of the workload, not of the service
 */
export function peerAuthenticationMode(
  workload: PolicyTarget,
  policies: readonly PeerAuthentication[],
  port: number,
  { rootNamespace = defaultRootNamespace }: PolicyScope = {},
): MtlsMode {
  const selected = selectedPolicies(workload, policies, rootNamespace)
  const isWide = ({ selector }: PeerAuthentication) => Object.keys(selector).length === 0
  const isOfMesh = ({ meta }: PeerAuthentication) => meta.namespace === rootNamespace
  const ofMesh = selected.find(policy => isOfMesh(policy) && isWide(policy))
  const ofNamespace = selected.find(policy => !isOfMesh(policy) && isWide(policy))
  const ofWorkload = selected.find(policy => !isOfMesh(policy) && !isWide(policy))
  const modes = [ofWorkload?.portModes.get(port), ofWorkload?.mode, ofNamespace?.mode, ofMesh?.mode]
  return modes.find(isSet) ?? 'PERMISSIVE'
}

const isSet = (mode: DeclaredMtlsMode | undefined): mode is MtlsMode => mode !== undefined && mode !== 'UNSET'
