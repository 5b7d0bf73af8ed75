import type { ObjectMeta } from './object-meta.ts'

/** `security.istio.io` PeerAuthentication: whether callers must come with mutual TLS. */
export interface PeerAuthentication {
  readonly meta: ObjectMeta
  /** Labels that a workload must have; none for all of the namespace, or of the mesh in the root namespace. */
  readonly selector: Readonly<Record<string, string>>
  readonly mode: DeclaredMtlsMode
  /** By port of the workload. */
  readonly portModes: ReadonlyMap<number, DeclaredMtlsMode>
}

/** How a port takes connections: by mutual TLS alone, by both, in plain text alone. */
export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE'

/** `UNSET` takes the mode of the next wider scope. */
export type DeclaredMtlsMode = MtlsMode | 'UNSET'
