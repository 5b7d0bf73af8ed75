import { resolveHost } from '../model/host.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import type { VirtualService } from '../model/virtual-service.ts'
import { checkExportTo } from './export-to.ts'
import { isAddress, readHost } from './names.ts'
import { checkTcpRoutes, checkTlsRoutes } from './read-connection-routes.ts'
import { readGateways } from './read-http-match.ts'
import { readHttpRoute } from './read-http-route.ts'
import type { Value } from './value.ts'

/** Reads the spec of a VirtualService. TCP and TLS rules are checked, have no effect, and are said to have none. */
export function readVirtualService(meta: ObjectMeta, spec: Value): VirtualService {
  const fields = spec.required().fields('hosts', 'gateways', 'http', 'tls', 'tcp', 'exportTo')
  const gateways = readGateways(fields.gateways)
  const appliesToMesh = gateways.length === 0 || gateways.includes('mesh')
  const hosts = fields.hosts.items().flatMap(item => readVirtualHost(item, gateways.length === 0 || appliesToMesh) ?? [])
  if (fields.hosts.items().length === 0)
    spec.error('has no hosts, which makes it the target of a delegate; delegation is not supported')
  checkDuplicates(hosts, fields.hosts)
  const rules = [fields.http, fields.tls, fields.tcp].map(each => each.items().length)
  if (rules.every(count => count === 0)) spec.error('must have http, tls or tcp rules')
  if (fields.tls.items().length > 0) fields.tls.warn('has no effect: connections that the app encrypts itself are not routed')
  if (fields.tcp.items().length > 0) fields.tcp.warn('has no effect: only HTTP and gRPC are routed')
  checkTlsRoutes(fields.tls, hosts, meta.namespace)
  checkTcpRoutes(fields.tcp, meta.namespace)
  if (!appliesToMesh) spec.warn(`has no effect: it is bound to the gateways ${gateways.join(', ')}, not to mesh`)
  checkExportTo(fields.exportTo, meta.namespace)
  return {
    meta,
    hosts: hosts.map(host => resolveHost(host, meta.namespace)),
    appliesToMesh,
    http: fields.http.items().map(item => readHttpRoute(item, meta.namespace)),
  }
}

function readVirtualHost(value: Value, inMesh: boolean): string | undefined {
  const text = value.required().asString()
  if (text !== undefined && isAddress(text)) return text
  const host = readHost(value)
  if (host === '*' && inMesh) value.error('* is not allowed for calls inside the mesh')
  return host
}

function checkDuplicates(hosts: readonly string[], value: Value): void {
  for (const [index, host] of hosts.entries()) {
    const rival = hosts.slice(index + 1).find(other => hostsOverlap(host, other))
    if (rival !== undefined) value.error(`${host} and ${rival} overlap`)
  }
}

/** Whether a name can belong to both of two hosts that may begin with a wildcard. */
function hostsOverlap(a: string, b: string): boolean {
  const [wildA, wildB] = [a.startsWith('*'), b.startsWith('*')]
  if (wildA && wildB) return a.length < b.length ? b.slice(1).endsWith(a.slice(1)) : a.slice(1).endsWith(b.slice(1))
  if (wildA) return b.endsWith(a.slice(1))
  return wildB ? a.endsWith(b.slice(1)) : a === b
}
