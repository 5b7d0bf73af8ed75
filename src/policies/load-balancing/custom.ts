import type { Host } from './host.ts'
import type { PickContext, Picker } from './picker.ts'

/** An endpoint, as a balancer of the application sees it. */
export type BalancedHost = Pick<Host, 'name' | 'weight' | 'activeRequests' | 'metadata'>

/** A request, as a balancer of the application sees it. */
export interface BalancedRequest extends PickContext {
  /** `POST` for gRPC. */
  readonly method?: string
  /** With its query; for gRPC `/package.Service/Method`. */
  readonly path?: string
  readonly authority?: string
  /** A header of the request, or a value of the metadata, by its name in lower case. */
  header?(name: string): string | readonly string[] | undefined
}

/** Chooses among endpoints. */
export interface LoadBalancer {
  /**
   * Called for each attempt, and returns at once. What it throws is a warning of the process, and the request has no endpoint.
   *
   * @param attempt 0 first; n when the n-th choice for the same attempt is to be avoided
   * @returns one of the hosts that it was made with; `null`: none of them
   */
  pick(request: BalancedRequest, attempt: number): BalancedHost | null
}

/** The fields of a balancer's configuration, as JSON. */
export type LoadBalancerSettings = { readonly [field: string]: unknown }

/** Makes the balancers of one type (gRFC A52). */
export interface LoadBalancerFactory {
  /** What the type URL of a `TypedStruct` ends with, such as `example.SmallestShard`. */
  readonly type: string
  /**
   * Checks a configuration before anything is done with it. Default: everything is right.
   *
   * @throws Error what is wrong with it: the cluster is refused
   */
  check?(config: LoadBalancerSettings): void
  /**
   * Makes a balancer, anew on each change of membership, weight, health or ejection.
   *
   * @param hosts to choose from, at least one; one object for each for as long as it stays in the cluster
   */
  create(config: LoadBalancerSettings, hosts: readonly BalancedHost[]): LoadBalancer
}

const factories = new Map<string, LoadBalancerFactory>()

/** Makes a type of balancers known to this process, as gRPC does; of two with the same type the last one counts. */
export function registerLoadBalancer(factory: LoadBalancerFactory): void {
  factories.set(factory.type, factory)
}

/** The factory of a type; `undefined`: it is not supported. */
export function loadBalancerFactory(type: string): LoadBalancerFactory | undefined {
  return factories.get(type)
}

/** Asks a balancer of the application. */
export class CustomPicker<H extends Host> implements Picker<H> {
  readonly #hosts: ReadonlyMap<BalancedHost, H>
  readonly #balancer: LoadBalancer | null

  constructor(hosts: readonly H[], type: string, config: LoadBalancerSettings) {
    this.#hosts = new Map(hosts.map(host => [host, host]))
    this.#balancer = hosts.length === 0 ? null : (attempted(() => loadBalancerFactory(type)?.create(config, hosts)) ?? null)
  }

  pick(context: PickContext, attempt: number): H | null {
    const chosen = attempted(() => this.#balancer?.pick(context, attempt)) ?? null
    return chosen === null ? null : (this.#hosts.get(chosen) ?? null)
  }
}

function attempted<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
    return undefined
  }
}
