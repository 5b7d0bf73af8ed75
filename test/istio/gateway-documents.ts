import { type BackendPorts, servicePort } from './documents.ts'
import type { GatewayCase } from './gateway-cases.ts'

/** The name of the service of the case at `index`. */
export const serviceOf = (index: number): string => `g${index}`

/** A service whose endpoint is at `port`. */
const service = (name: string, namespace: string, port: number) => `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { clusterIP: 10.96.0.${1 + (port % 250)}, ports: [{ name: http, port: ${servicePort}, targetPort: ${port} }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: http, port: ${port}, protocol: TCP }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
`

/** The documents of all cases: backends `v1` to `v3`, `far` in the namespace `other`, and for each case a service that is v1 without its routes. */
export function gatewayDocuments(cases: readonly GatewayCase[], ports: BackendPorts): string {
  const backends = Object.entries(ports).map(([name, port]) => service(name, 'default', port))
  const own = cases.flatMap(({ kind = 'HTTPRoute', rules, parent = '', more }, index) => {
    const name = serviceOf(index)
    const route = `apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: default, creationTimestamp: "2025-01-01T00:00:00Z" }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${name}${parent} }]
  rules: ${rules}
`
    const others = more ? [`${more.trim()}\n`] : []
    return [service(name, 'default', ports.v1), ...[route, ...others].map(text => text.replaceAll('SERVICE', name))]
  })
  return [...backends, service('far', 'other', ports.v3), ...own].join('---\n').replaceAll('V3', String(ports.v3))
}
