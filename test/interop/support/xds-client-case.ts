import type { status } from '@grpc/grpc-js'

/** The clients that the table is asked of. */
export type ClientName = 'grpc-go' | 'grpcio' | 'inmesh'

/** Name of a gRPC status. */
export type StatusName = keyof typeof status

/** A version of the service of a case. */
export interface CaseEndpoint {
  readonly version: string
  /** Nobody listens on its port. */
  readonly isDead?: boolean
  /** `region/zone`; default none. Clients are in `near/a`. */
  readonly locality?: string
}

/**
 * A unary call. `#` in a value of metadata is the number of the call in its step. Metadata that backends obey: `x-answer` names the status to answer with, `x-answer-times` for how many attempts of the
 * call (default all), `x-answer-by` by which version (default all), `x-delay-ms` waits before any answer, `x-delay-by` in which version.
 */
export interface CaseCall {
  /** Default `/inmesh.test.Echo/Echo`. */
  readonly method?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** Default 10,000. */
  readonly deadlineMs?: number
}

/** What is to come of a step's calls. */
export interface Expected {
  /** Of every call; default OK. */
  readonly code?: StatusName
  /** Beside `code`, a status that some of the calls may have. */
  readonly tolerates?: StatusName
  /** Shares of the statuses, in place of `code`, within five standard deviations. */
  readonly codes?: Readonly<Partial<Record<StatusName, number>>>
  /** How often each status came, in place of `code`. */
  readonly counts?: Readonly<Partial<Record<StatusName, number>>>
  /** Who answered every call. */
  readonly version?: string
  /** Who answered, as shares in [0, 1] of all calls, within five standard deviations; 0 is nobody. */
  readonly shares?: Readonly<Record<string, number>>
  /** Who answered, as the greatest share in [0, 1] that one may have. */
  readonly atMost?: Readonly<Record<string, number>>
  /** One endpoint answered all. */
  readonly oneVersion?: boolean
  /** How many versions answered, at least. */
  readonly minVersions?: number
  /** How often backends saw every call. */
  readonly attempts?: number
  /** All attempts of a call went to one version. */
  readonly oneVersionOfCall?: boolean
  /** `grpc-previous-rpc-attempts` of each attempt, in order, empty where there is none. */
  readonly previousAttempts?: readonly string[]
  /** Shortest and longest time of every call. */
  readonly minElapsedMs?: number
  readonly maxElapsedMs?: number
}

/** Something that happens to a case's service. */
export interface CaseChange {
  /** The version whose server ends at once. */
  readonly kill?: string
  /** The version that is no longer an endpoint; its server goes on. */
  readonly remove?: string
  /** `spec.http` from now on. */
  readonly http?: string
}

/** What a client does that is not what the table says, and the specification's word for it. */
export interface Difference {
  readonly because: string
  readonly expect: Expected
}

/** Calls and what comes of them. */
export interface CaseStep {
  readonly call?: CaseCall
  /** Default 1. */
  readonly times?: number
  /** How many at once; default 1. */
  readonly parallel?: number
  /** Happens when a backend has seen the first of the calls, which are still waiting for their answers if they ask for a delay. */
  readonly meanwhile?: CaseChange
  /** Happens before. */
  readonly change?: CaseChange
  /** The call is repeated until this comes of one, before the calls that count: how a change is awaited. */
  readonly until?: Pick<Expected, 'code' | 'version'>
  readonly expect: Expected
  readonly differs?: Partial<Readonly<Record<ClientName, Difference>>>
}

/** Istio documents for one host, and the calls. `HOST` in the YAML stands for the case's own host. */
export interface XdsClientCase {
  readonly name: string
  /** `spec.http` of the VirtualService on the host; default none. */
  readonly http?: string
  /** `spec.trafficPolicy` of the DestinationRule on the host. */
  readonly trafficPolicy?: string
  /** Default v1, v2, v3. */
  readonly endpoints?: readonly CaseEndpoint[]
  readonly steps: readonly CaseStep[]
}

/** The port every case's service has. */
export const servicePort = 50051

/** Endpoints of a case that names none. */
export const defaultEndpoints: readonly CaseEndpoint[] = [{ version: 'v1' }, { version: 'v2' }, { version: 'v3' }]

/** The host of the case at `index`. */
export const hostOf = (index: number) => `x${String(index).padStart(2, '0')}.test`

const indent = (text: string, spaces: number) => text.replace(/^(?=.)/gm, ' '.repeat(spaces))

/** A case's documents: a ServiceEntry with a port for each version, a DestinationRule with the versions as subsets, a VirtualService. */
export function documentsOf(aCase: XdsClientCase, host: string, ports: ReadonlyMap<string, number>, http = aCase.http): string {
  const name = host.replace('.test', '')
  const all = aCase.endpoints ?? defaultEndpoints
  const endpoints = all.flatMap(({ version, locality }) => {
    const port = ports.get(version)
    const where = locality === undefined ? '' : `, locality: ${locality}`
    if (port === undefined) return []
    return [`  - { address: 127.0.0.1, ports: { grpc: ${port} }, labels: { version: ${version} }${where} }`]
  })
  const subsets = [...all.map(({ version }) => version), 'empty'].map(
    version => `  - { name: ${version}, labels: { version: ${version} } }`,
  )
  const parts = [
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: ${servicePort}, name: grpc, protocol: GRPC }]
  endpoints:
${endpoints.join('\n')}`,
    `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: default }
spec:
  host: ${host}
${aCase.trafficPolicy ? `  trafficPolicy: ${aCase.trafficPolicy}\n` : ''}  subsets:
${subsets.join('\n')}`,
  ]
  if (http !== undefined)
    parts.push(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${host}]
  http:
${indent(http, 2)}`)
  return `${parts.join('\n---\n').replaceAll('HOST', host)}\n`
}
