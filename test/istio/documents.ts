import { type Case, hostOf } from './cases.ts'

/** The port every case's service has. */
export const servicePort = 9080

/** The ports on which the backends `v1`, `v2` and `v3` listen. */
export type BackendPorts = Readonly<Record<'v1' | 'v2' | 'v3', number>>

const indent = (text: string, spaces: number) => text.replace(/^(?=.)/gm, ' '.repeat(spaces))

/** The Istio YAML of the case at `index`: a ServiceEntry, a DestinationRule with the subsets, a VirtualService. */
export function documentsOf(aCase: Case, index: number, ports: BackendPorts): string {
  const host = hostOf(index)
  const name = host.replace('.test', '')
  const endpoints = Object.entries(ports).map(
    ([version, port]) => `    - { address: 127.0.0.1, ports: { http: ${port} }, labels: { version: ${version} } }`,
  )
  const parts = [
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: ${servicePort}, name: http, protocol: HTTP }]
  endpoints:
${endpoints.join('\n')}`,
  ]
  if (!aCase.withoutSubsets) {
    const subsets = ['v1', 'v2', 'v3', 'empty'].map(version => `    - { name: ${version}, labels: { version: ${version} } }`)
    parts.push(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: default }
spec:
  host: ${host}
${aCase.trafficPolicy ? `  trafficPolicy: ${aCase.trafficPolicy}\n` : ''}  subsets:
${subsets.join('\n')}`)
  }
  if (aCase.http) {
    parts.push(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${host}]
  http:
${indent(aCase.http, 4)}`)
  }
  if (aCase.more) parts.push(aCase.more)
  return `${parts.join('\n---\n').replaceAll('HOST', host)}\n`
}

/** The documents of all cases. */
export const allDocuments = (cases: readonly Case[], ports: BackendPorts): string =>
  cases.map((aCase, index) => documentsOf(aCase, index, ports)).join('---\n')
