import type { Protocol } from './protocol.ts'

/** Something that can be called by name, whoever declared it. */
export interface MeshService {
  /** The full name: `reviews.default.svc.cluster.local`, or the host of a ServiceEntry, which may be a wildcard. */
  readonly host: string
  /** The name for people: that of the Kubernetes service, or the host. */
  readonly name: string
  readonly namespace: string
  /** Whether the short names `reviews`, `reviews.default` and `reviews.default.svc` mean it too. */
  readonly hasShortNames: boolean
  /** IP addresses that mean it too. */
  readonly addresses: readonly string[]
  /** Names that its peers may have in their certificates, beside its own. */
  readonly subjectAltNames: readonly string[]
  /** Accounts of its namespace that its peers may run under, beside the one of its name. */
  readonly serviceAccounts: readonly string[]
  readonly external: boolean
  /** `listed`: by assignments. The others are looked up by the caller; `none` is the host itself. */
  readonly resolution: 'listed' | 'dns' | 'dns-round-robin' | 'none'
  readonly ports: readonly MeshPort[]
}

export interface MeshPort {
  readonly number: number
  readonly name: string
  readonly protocol: Protocol
  /** Where an endpoint listens that does not say it: a port number, or the name of one. */
  readonly target: number | string
}

/** One place where a service is served. */
export interface MeshEndpoint {
  /** IP address; a host name in a service that is looked up. */
  readonly address: string
  /** By port number of the service; a port that is absent is not served here. */
  readonly ports: ReadonlyMap<number, number>
  /** With those of its locality. */
  readonly labels: Readonly<Record<string, string>>
  readonly locality: MeshLocality
  /** At least 1. */
  readonly weight: number
  /** `name;namespace`, for people. */
  readonly workload: string
  /** SPIFFE ID; `undefined` for one that has not proved who it is. It takes mutual TLS, unless a policy says otherwise. */
  readonly identity?: string | undefined
  /** A document says that it takes mutual TLS: by the account that it runs under, or the label `security.istio.io/tlsMode`. */
  readonly isDeclaredMutual?: boolean
}

export interface MeshLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

/** Splits `region/zone/subZone`. */
export function parseLocality(text: string): MeshLocality {
  const [region = '', zone = '', subZone = ''] = text.split('/')
  return { region, zone, subZone }
}

/** Labels, and those that tell of the locality, by which rules speak of it too. As Istio has them. */
export function withTopology(
  labels: Readonly<Record<string, string>>,
  { region, zone, subZone }: MeshLocality,
): Readonly<Record<string, string>> {
  if (region === '' && zone === '' && subZone === '') return labels
  return {
    ...labels,
    ...(region === '' ? {} : { 'topology.kubernetes.io/region': region }),
    ...(zone === '' ? {} : { 'topology.kubernetes.io/zone': zone }),
    ...(subZone === '' ? {} : { 'topology.istio.io/subzone': subZone }),
  }
}

/** Whether `labels` hold everything in `selector`. */
export function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}
