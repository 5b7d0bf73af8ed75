import { create } from '@bufbuild/protobuf'
import {
  DirectResponseActionSchema,
  type Route,
  type RouteMatch,
  RouteSchema,
} from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import { selects } from '../model/mesh-service.ts'
import type { HttpMatch, HttpRoute } from '../model/virtual-service.ts'
import { filterOverrides } from './filter-overrides.ts'
import { headerOptions } from './header-options.ts'
import { defaultForward, type RouteScope, translateForward, translateRedirect } from './route-action.ts'
import { everything, isCatchAll, translateMatch } from './route-match.ts'

/**
 * The routes of rules for one port and one caller, one for each match, up to the first that takes everything. Matches on the port and
 * on the caller are decided here.
 */
export function translateRoutes(http: readonly HttpRoute[], scope: RouteScope): readonly Route[] {
  const routes: Route[] = []
  for (const rule of http) {
    if (rule.matches.length === 0) return [...routes, translateRoute(rule, undefined, everything(), scope)]
    for (const match of rule.matches) {
      if (!concerns(match, scope)) continue
      const translated = translateMatch(match, scope.view)
      routes.push(translateRoute(rule, match, translated, scope))
      if (isCatchAll(translated)) return routes
    }
  }
  return routes
}

/** The route of a service that no VirtualService rules. */
export function defaultRoute(host: string, scope: RouteScope): Route {
  return create(RouteSchema, {
    name: 'default',
    match: everything(),
    action: { case: 'route', value: defaultForward(host, scope) },
  })
}

/** Where gateways are named, the mesh must be among them; else the labels and the namespace of the caller decide. */
function concerns(match: HttpMatch, { view, port }: RouteScope): boolean {
  if (match.port !== undefined && match.port !== port) return false
  if (match.gateways.length > 0) return match.gateways.includes('mesh')
  if (!selects(match.sourceLabels, view.labels)) return false
  return match.sourceNamespace === '' || match.sourceNamespace === view.namespace
}

function translateRoute(rule: HttpRoute, match: HttpMatch | undefined, translated: RouteMatch, scope: RouteScope): Route {
  const { action, headers } = rule
  const single = action.kind === 'forward' && action.destinations.length === 1 ? action.destinations[0] : undefined
  return create(RouteSchema, {
    name: match?.name ? `${rule.name}.${match.name}` : rule.name,
    match: translated,
    action: translateAction(rule, scope),
    statPrefix: match?.statPrefix ?? '',
    ...headerOptions(headers, single?.headers),
    typedPerFilterConfig: { ...filterOverrides(rule.fault, rule.cors, scope.view) },
  })
}

function translateAction({ action, headers }: HttpRoute, scope: RouteScope): Route['action'] {
  switch (action.kind) {
    case 'forward':
      return { case: 'route', value: translateForward(action, headers, scope) }
    case 'redirect':
      return { case: 'redirect', value: translateRedirect(action, scope.port) }
    case 'direct-response': {
      const { status, body } = action
      const specifier =
        typeof body === 'string'
          ? ({ case: 'inlineString', value: body } as const)
          : ({ case: 'inlineBytes', value: body } as const)
      const value = create(DirectResponseActionSchema, { status, ...(body.length > 0 ? { body: { specifier } } : {}) })
      return { case: 'directResponse', value }
    }
  }
}
