import type { DataPlane } from './data-plane.ts'
import { type ExplainedEndpoint, explainEndpoint } from './explain.ts'

/** What a mesh knows, as plain data. */
export interface MeshSnapshot {
  readonly authorities: readonly {
    readonly authority: string
    readonly state: 'pending' | 'ready' | 'failed'
    readonly routeConfiguration: string | undefined
    readonly error: string | undefined
    /** Requests that wait for it. */
    readonly waiting: number
  }[]
  readonly clusters: readonly {
    readonly name: string
    readonly loadBalancing: string | undefined
    /** Why calls to it fail; `undefined` when it is in use. */
    readonly error: string | undefined
    readonly endpoints: readonly ExplainedEndpoint[]
  }[]
}

/** A copy of what the data plane holds now. */
export function snapshotOf(plane: DataPlane): MeshSnapshot {
  return {
    authorities: [...plane.targets.values()].map(({ authority, router, failure, pending }) => ({
      authority,
      state: router !== null ? 'ready' : failure !== null ? 'failed' : 'pending',
      routeConfiguration: router?.config.name,
      error: failure?.message,
      waiting: pending.length,
    })),
    clusters: [
      ...Array.from(plane.clusters.values(), cluster => ({
        name: cluster.name,
        loadBalancing: cluster.config.loadBalancing.kind,
        error: undefined,
        endpoints: [...cluster.endpoints()].map(explainEndpoint),
      })),
      ...Array.from(plane.config.clusters).flatMap(([name, state]) =>
        state.kind === 'failed' ? [{ name, loadBalancing: undefined, error: state.message, endpoints: [] }] : [],
      ),
    ],
  }
}
