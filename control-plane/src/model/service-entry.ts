import { selects } from './mesh-service.ts'
import type { ObjectMeta } from './object-meta.ts'

/** `networking.istio.io` ServiceEntry. */
export interface ServiceEntry {
  readonly meta: ObjectMeta
  /** Lower case; may be wildcards. */
  readonly hosts: readonly string[]
  readonly addresses: readonly string[]
  readonly external: boolean
  readonly resolution: 'none' | 'static' | 'dns' | 'dns-round-robin' | 'dynamic-dns'
  readonly ports: readonly ServiceEntryPort[]
  readonly endpoints: readonly WorkloadAddress[]
  /** Labels of the workloads that serve it; `undefined` for those listed alone. */
  readonly workloadSelector: Readonly<Record<string, string>> | undefined
  readonly subjectAltNames: readonly string[]
}

export interface ServiceEntryPort {
  readonly name: string
  readonly number: number
  /** Empty when not given. */
  readonly protocol: string
  readonly targetPort: number | undefined
}

/** An endpoint of a ServiceEntry, and the spec of a WorkloadEntry. */
export interface WorkloadAddress {
  /** IP, or host name. */
  readonly address: string
  /** By port name of the service. */
  readonly ports: ReadonlyMap<string, number>
  readonly labels: Readonly<Record<string, string>>
  /** `region/zone/subZone`, or empty. */
  readonly locality: string
  /** Account of its namespace that it runs under, or empty. */
  readonly serviceAccount: string
  readonly weight: number | undefined
}

/** `networking.istio.io` WorkloadEntry. */
export interface WorkloadEntry extends WorkloadAddress {
  readonly meta: ObjectMeta
}

/** The workloads of an object's namespace that its selector selects. */
export const selectedEntries = (
  entries: readonly WorkloadEntry[],
  { namespace }: ObjectMeta,
  selector: Readonly<Record<string, string>>,
): readonly WorkloadEntry[] => entries.filter(({ meta, labels }) => meta.namespace === namespace && selects(selector, labels))
