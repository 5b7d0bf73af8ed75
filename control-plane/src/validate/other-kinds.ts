/** What becomes of an object of a kind that is not translated. `undefined`: there is no such kind. */
export interface OtherKind {
  readonly severity: 'error' | 'warning'
  readonly message: string
}

const ineffective = 'has no effect here'

/** Kinds of Istio that configure something else than calls between services, or how. */
const ignored = [
  'EnvoyFilter',
  'Gateway',
  'ProxyConfig',
  'Sidecar',
  'Telemetry',
  'TrafficExtension',
  'WasmPlugin',
  'WorkloadGroup',
]

/** Says what becomes of an object whose kind is none of the translated. */
export function otherKind(apiVersion: string, kind: string): OtherKind {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
  if (group.endsWith('istio.io')) {
    if (ignored.includes(kind)) return { severity: 'warning', message: ineffective }
    return { severity: 'error', message: `there is no kind ${kind} in ${apiVersion} that is known here` }
  }
  if (group === 'gateway.networking.k8s.io') {
    if (kind === 'ReferenceGrant') return { severity: 'warning', message: `${ineffective}: calls inside the mesh need no grant` }
    if (/^(HTTP|GRPC)Route$/.test(kind))
      return { severity: 'error', message: `is not known in ${apiVersion}: write gateway.networking.k8s.io/v1` }
    return { severity: 'warning', message: `${ineffective}: only HTTPRoute and GRPCRoute that are bound to services have` }
  }
  return { severity: 'warning', message: `${ineffective}: ${apiVersion} ${kind} is not about traffic` }
}
