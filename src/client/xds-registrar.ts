import type { XdsConfigSource } from '../discovery/xds-config-source.ts'
import type { ListeningWorkload, WorkloadRegistrar } from '../server/mesh-server.ts'

/** Registers what this process serves with its control plane, by the node of its ADS stream. */
export class XdsRegistrar implements WorkloadRegistrar {
  readonly #source: Pick<XdsConfigSource, 'setWorkloads'>
  readonly #service: string
  readonly #workloads = new Set<ListeningWorkload>()

  /** @param service name of the service that every workload of this process belongs to */
  constructor(source: Pick<XdsConfigSource, 'setWorkloads'>, service: string) {
    this.#source = source
    this.#service = service
  }

  register(workload: ListeningWorkload): void {
    this.#workloads.add(workload)
    this.#announce()
  }

  deregister(workload: ListeningWorkload): void {
    if (this.#workloads.delete(workload)) this.#announce()
  }

  #announce(): void {
    this.#source.setWorkloads([...this.#workloads].map(workload => ({ service: this.#service, ...workload })))
  }
}
