import type { RegisteredWorkload } from './registry/registered-workload.ts'
import type { ResourceSource } from './xds/ads-server.ts'

/** What the mesh is configured to be: the operator's documents and the registered workloads, translated for each view. */
export interface Configuration extends ResourceSource {
  /** Takes the workloads that are there now. */
  setWorkloads(workloads: readonly RegisteredWorkload[]): void
  /** Calls `listener` whenever {@link ResourceSource.resourcesOf} may give something new. */
  onChange(listener: () => void): void
  /** Stops following the documents. */
  close(): void
}
