import { type BoundRoute, boundRoutes } from '../model/bound-route.ts'
import { closestMatch } from '../model/host.ts'
import { mergeRules } from '../model/merge-rules.ts'
import type { MeshDocuments } from '../model/mesh-documents.ts'
import { compareAge, type ObjectMeta, objectName } from '../model/object-meta.ts'
import type { VirtualService } from '../model/virtual-service.ts'
import type { PathStep } from '../sources/problem.ts'

/** Tells the operator something odd about an object. */
export type Warn = (meta: ObjectMeta, path: readonly PathStep[], message: string) => void

/**
 * What is odd about routes of the Gateway API and what is around them: parents that are not there, rules and routes that nobody obeys.
 *
 * @param hosts those that a document defines
 */
export function crossCheckGatewayRoutes(documents: MeshDocuments, hosts: ReadonlySet<string>, warn: Warn): void {
  checkParents(documents, warn)
  checkBackends(documents, hosts, warn)
  const bound = boundRoutes(documents)
  for (const group of Map.groupBy(bound, groupName).values()) checkGroup(group, warn)
  for (const group of Map.groupBy(bound, ({ host, route }) => `${route.meta.namespace} ${host}`).values()) checkKinds(group, warn)
  checkVirtualServices(documents.virtualServices, bound, warn)
}

const groupName = ({ host, port, portName, route }: BoundRoute) =>
  JSON.stringify([route.meta.namespace, route.type, host, port, portName])

const parents: readonly PathStep[] = ['spec', 'parentRefs']

function checkParents({ gatewayRoutes, services, serviceEntries }: MeshDocuments, warn: Warn): void {
  for (const { meta, parents: refs } of gatewayRoutes) {
    for (const { kind, name, namespace, port, portName } of refs) {
      const isWanted = (each: { readonly meta: ObjectMeta }) => each.meta.name === name && each.meta.namespace === namespace
      const found = kind === 'service' ? services.find(isWanted) : serviceEntries.find(isWanted)
      if (!found && kind === 'service-entry') warn(meta, parents, `no document defines the ServiceEntry ${namespace}/${name}`)
      if (!found) continue
      const fits = found.ports.some(
        each => (port === undefined || each.number === port) && (portName === '' || each.name === portName),
      )
      if (!fits) warn(meta, parents, `${objectName(found.meta)} has no port ${[port, portName].filter(Boolean).join(' ')}`)
    }
  }
}

/** The short name of a Service may be that of a workload that registers itself. */
function checkBackends({ gatewayRoutes }: MeshDocuments, hosts: ReadonlySet<string>, warn: Warn): void {
  for (const { meta, rules } of gatewayRoutes) {
    for (const [index, same] of Map.groupBy(rules, rule => rule.index)) {
      const action = same[0]?.route.action
      if (action?.kind !== 'forward') continue
      for (const { destination } of [...action.destinations, ...action.mirrors]) {
        const { host } = destination
        if (hosts.has(host) || host.endsWith('.svc.cluster.local')) continue
        warn(meta, ['spec', 'rules', index], `no document defines ${host}: its calls fail with ${action.missingStatus}`)
      }
    }
  }
}

/** Of rules that match every call, one is the last. */
function checkGroup(group: readonly BoundRoute[], warn: Warn): void {
  const merged = mergeRules([...new Set(group.map(({ route }) => route))])
  const [last, ...never] = merged.filter(({ rule }) => rule.precedence.every(number => number === 0))
  for (const { route, rule } of never) {
    const where = last?.route === route ? `spec.rules[${last.rule.index}]` : last && objectName(last.route.meta)
    warn(route.meta, ['spec', 'rules', rule.index], `is never reached: ${where} matches everything`)
  }
}

function checkKinds(group: readonly BoundRoute[], warn: Warn): void {
  const calls = group.filter(({ route }) => route.type === 'grpc')
  for (const { route, host, port } of group) {
    const rival = calls.find(each => each.port === undefined || port === undefined || each.port === port)
    if (route.type === 'grpc' || rival === undefined) continue
    warn(route.meta, parents, `has no effect on the ports of ${host} that ${objectName(rival.route.meta)} rules`)
  }
}

function checkVirtualServices(virtualServices: readonly VirtualService[], bound: readonly BoundRoute[], warn: Warn): void {
  const counting = virtualServices.filter(({ appliesToMesh, http }) => appliesToMesh && http.length > 0)
  const byHost = counting.toReversed().flatMap(each => each.hosts.map(host => [host, each] as const))
  for (const { host, route } of bound) {
    const rival = closestMatch(new Map(byHost), host)
    if (!rival) continue
    const [winner, loser] = compareAge(route.meta, rival.meta) < 0 ? [route, rival] : [rival, route]
    const exception = winner === rival ? `, but for callers in ${route.meta.namespace}` : ''
    const path = loser === rival ? ['spec', 'hosts'] : parents
    warn(loser.meta, path, `has no effect on ${host}, which ${objectName(winner.meta)} rules${exception}`)
  }
}
