import { isIP } from 'node:net'
import { hostMatches } from '../model/host.ts'
import { isAddress, readLabels, wildcardDomainFault } from './names.ts'
import { readRoute } from './read-http-action.ts'
import { readGateways, readPortOrZero, readSourceNamespace } from './read-http-match.ts'
import type { Value } from './value.ts'

/** Checks `spec.tls`, of which nothing is translated. */
export function checkTlsRoutes(value: Value, hosts: readonly string[], namespace: string): void {
  for (const item of value.items()) {
    const { match, route } = item.required().fields('match', 'route')
    if (match.items().length === 0) item.error('must have a match')
    for (const each of match.items()) {
      const { sniHosts, ...rest } = each
        .required()
        .fields('sniHosts', 'destinationSubnets', 'port', 'sourceLabels', 'gateways', 'sourceNamespace')
      checkConnectionMatch(rest)
      if (sniHosts.required().items().length === 0 && !sniHosts.isAbsent) sniHosts.error('must not be empty')
      for (const sniHost of sniHosts.items()) checkSniHost(sniHost, hosts)
    }
    checkRoute(item, route, namespace)
  }
}

/** Checks `spec.tcp`, of which nothing is translated. */
export function checkTcpRoutes(value: Value, namespace: string): void {
  for (const item of value.items()) {
    const { match, route } = item.required().fields('match', 'route')
    for (const each of match.items()) {
      const { sourceSubnet, ...rest } = each
        .required()
        .fields('destinationSubnets', 'port', 'sourceSubnet', 'sourceLabels', 'gateways', 'sourceNamespace')
      sourceSubnet.asString()
      checkConnectionMatch(rest)
    }
    checkRoute(item, route, namespace)
  }
}

type ConnectionField = 'destinationSubnets' | 'port' | 'sourceLabels' | 'gateways' | 'sourceNamespace'

function checkConnectionMatch(fields: Readonly<Record<ConnectionField, Value>>): void {
  for (const item of fields.destinationSubnets.items()) {
    const text = item.asString() ?? ''
    const [address = '', bits = '0', ...rest] = text.split('/')
    if (!isAddress(address) || !/^\d{1,3}$/.test(bits) || Number(bits) > (isIP(address) === 6 ? 128 : 32) || rest.length > 0)
      item.error(`must be an IP address or prefix, got ${JSON.stringify(text)}`)
  }
  readPortOrZero(fields.port)
  readLabels(fields.sourceLabels)
  readGateways(fields.gateways)
  readSourceNamespace(fields.sourceNamespace)
}

function checkSniHost(value: Value, hosts: readonly string[]): void {
  const name = value.required().asString()
  if (name === undefined || isAddress(name)) return
  const fault = wildcardDomainFault(name)
  if (fault !== undefined) value.error(fault)
  else if (!hosts.some(host => host === name || (host.startsWith('*') && hostMatches(host, name))))
    value.error(`is none of the hosts of the VirtualService: ${JSON.stringify(name)}`)
}

function checkRoute(item: Value, route: Value, namespace: string): void {
  if (route.items().length === 0) item.error('must have a route')
  readRoute(route, namespace)
  for (const each of route.items()) if (!each.field('headers').isAbsent) each.field('headers').error('is for HTTP')
}
