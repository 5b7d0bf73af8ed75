import { hostMatches } from '../model/host.ts'
import type { MeshDocuments } from '../model/mesh-documents.ts'
import { type ObjectMeta, objectName } from '../model/object-meta.ts'
import type { Destination, HttpMatch, HttpRoute, VirtualService } from '../model/virtual-service.ts'
import { formatPath, type PathStep, type Problem } from '../sources/problem.ts'
import { crossCheckGatewayRoutes, type Warn } from './cross-check-gateway-routes.ts'

/**
 * What is odd about all documents together: names that lead nowhere, rules that nobody reaches, two owners of one host. Warnings,
 * because the missing part may register itself at run time, and Istio accepts them too.
 */
export function crossCheck(documents: MeshDocuments): readonly Problem[] {
  const problems: Problem[] = []
  const warn: Warn = (meta, path, message) =>
    problems.push({ severity: 'warning', ...meta.locate(path), object: objectName(meta), field: formatPath(path), message })
  const hosts = knownHosts(documents)
  const subsets = knownSubsets(documents)
  const checkDestination = (meta: ObjectMeta, path: readonly PathStep[], { host, subset }: Destination) => {
    // A short name may be that of a workload that registers itself.
    if (!hosts.has(host) && !host.endsWith('.svc.cluster.local')) {
      warn(meta, [...path, 'host'], `no document defines ${host}: calls fail with 503 unless it registers itself`)
    }
    if (subset !== '' && !subsets.get(host)?.has(subset)) {
      warn(meta, [...path, 'subset'], `no DestinationRule defines the subset ${subset} of ${host}: calls fail with 503`)
    }
  }
  for (const virtualService of documents.virtualServices) {
    checkRules(virtualService, warn)
    for (const [path, destination] of destinationsOf(virtualService)) checkDestination(virtualService.meta, path, destination)
  }
  problems.push(...checkProviders(documents, warn, hosts))
  crossCheckGatewayRoutes(documents, hosts, warn)
  for (const [host, rivals] of owners(documents.virtualServices)) {
    const winner = rivals.find(concernsEverybody)
    if (!winner) continue
    for (const { meta } of rivals.slice(rivals.indexOf(winner) + 1)) {
      warn(meta, ['spec', 'hosts'], `has no effect on ${host}, which ${objectName(winner.meta)} rules`)
    }
  }
  return problems
}

/** Authorizers of the action CUSTOM: an error when it is not said which one a name means. */
function checkProviders(
  { meshConfigs, authorizationPolicies }: MeshDocuments,
  warn: Warn,
  hosts: ReadonlySet<string>,
): Problem[] {
  const problems: Problem[] = []
  const known = new Set<string>()
  for (const { meta, extensionProviders } of meshConfigs) {
    for (const { name, service } of extensionProviders) {
      const message = `the extension provider ${name} is there twice, in different documents`
      if (known.has(name)) problems.push({ severity: 'error', ...meta.locate([]), object: objectName(meta), field: '', message })
      known.add(name)
      const host = service.slice(service.indexOf('/') + 1)
      if (!hosts.has(host) && !host.endsWith('.svc.cluster.local'))
        warn(meta, [], `no document defines ${host}: what the extension provider ${name} decides about is denied`)
    }
  }
  for (const { meta, action, provider } of authorizationPolicies) {
    if (action !== 'CUSTOM' || known.has(provider)) continue
    warn(meta, ['spec', 'provider', 'name'], `no MeshConfig defines ${provider}: what the rules match is denied`)
  }
  return problems
}

function checkRules({ meta, http }: VirtualService, warn: Warn): void {
  const catchAll = http.findIndex(({ matches }) => matches.length === 0)
  if (catchAll < 0) return
  for (let index = catchAll + 1; index < http.length; index++) {
    warn(meta, ['spec', 'http', index], `is never reached: spec.http[${catchAll}] matches everything`)
  }
}

function* destinationsOf({ http }: VirtualService): Generator<readonly [readonly PathStep[], Destination]> {
  for (const [rule, { action }] of http.entries()) {
    if (action.kind !== 'forward') continue
    const path = ['spec', 'http', rule]
    for (const [index, { destination }] of action.destinations.entries())
      yield [[...path, 'route', index, 'destination'], destination]
    for (const { destination } of action.mirrors) yield [[...path, 'mirror'], destination]
  }
}

function knownHosts({ serviceEntries, services }: Pick<MeshDocuments, 'serviceEntries' | 'services'>): ReadonlySet<string> {
  const own = services.map(({ meta }) => `${meta.name}.${meta.namespace}.svc.cluster.local`)
  return new Set([...own, ...serviceEntries.flatMap(({ hosts }) => hosts)])
}

function knownSubsets({ destinationRules, serviceEntries, services, virtualServices }: MeshDocuments) {
  const named = virtualServices.flatMap(({ http }) => http.flatMap(destinationHosts))
  const hosts = new Set([...knownHosts({ serviceEntries, services }), ...named])
  const subsets = new Map<string, Set<string>>()
  for (const rule of destinationRules) {
    for (const host of hosts) {
      if (!hostMatches(rule.host, host)) continue
      const names = subsets.get(host) ?? new Set()
      for (const { name } of rule.subsets) names.add(name)
      subsets.set(host, names)
    }
  }
  return subsets
}

const destinationHosts = ({ action }: HttpRoute) =>
  action.kind === 'forward' ? action.destinations.map(({ destination }) => destination.host) : []

/** Whether a rule of it is for every caller, on every port. */
function concernsEverybody({ http }: VirtualService): boolean {
  return http.some(({ matches }) => matches.length === 0 || matches.some(isForEverybody))
}

function isForEverybody({ port, gateways, sourceLabels, sourceNamespace }: HttpMatch): boolean {
  if (port !== undefined) return false
  if (gateways.length > 0) return gateways.includes('mesh')
  return sourceNamespace === '' && Object.keys(sourceLabels).length === 0
}

/** The VirtualServices of each host that has several, the oldest first. */
function owners(virtualServices: readonly VirtualService[]): ReadonlyMap<string, readonly VirtualService[]> {
  const byHost = new Map<string, VirtualService[]>()
  for (const virtualService of virtualServices) {
    if (!virtualService.appliesToMesh) continue
    for (const host of virtualService.hosts) byHost.set(host, [...(byHost.get(host) ?? []), virtualService])
  }
  return new Map([...byHost].filter(([, all]) => all.length > 1))
}
