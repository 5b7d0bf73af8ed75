import type {
  DirectResponseAction as DirectResponseActionMessage,
  RouteAction as RouteActionMessage,
  Route as RouteMessage,
} from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { PathMatch, Route, RouteAction } from '../model/route.ts'
import { readDataSource } from './data-source.ts'
import { decodeForwardAction, type RouteDefaults } from './forward-action.ts'
import { decodeHeaderMutations } from './header-mutations.ts'
import { decodeFilterOverrides } from './http-filter.ts'
import type { Problems } from './problems.ts'
import { decodeRedirectAction } from './redirect-action.ts'
import { decodeRouteMatch } from './route-match.ts'

/** What a route decoder must know of the levels above. */
export interface RouteScope {
  readonly defaults: RouteDefaults
  /** `max_direct_response_body_size_bytes`; default 4096. */
  readonly maxBodyBytes: number
  /** Names of the cluster specifier plugins that the route configuration declares. */
  readonly specifierPlugins: ReadonlySet<string>
}

/**
 * Decodes `Route`.
 *
 * @returns `undefined` for a route that is left out: its action is none that a client knows (gRFC A28), or nothing can match it
 */
export function decodeRoute(message: RouteMessage, scope: RouteScope, problems: Problems): Route | undefined {
  if (message.match === undefined) {
    problems.addAt('match', 'is required')
    return undefined
  }
  const match = decodeRouteMatch(message.match, problems.at('match'))
  if (match === undefined) return undefined
  const action = decodeAction(message, match.path, scope, problems)
  if (action === undefined) return undefined
  return {
    name: message.name,
    match,
    action,
    headerMutations: decodeHeaderMutations(message, problems),
    filterOverrides: decodeFilterOverrides(message.typedPerFilterConfig, problems),
  }
}

function decodeAction({ action }: RouteMessage, path: PathMatch, scope: RouteScope, problems: Problems): RouteAction | undefined {
  switch (action.case) {
    case 'route':
      checkSpecifierPlugin(action.value, scope, problems.at('route'))
      return decodeForwardAction(action.value, path, scope.defaults, problems.at('route'))
    case 'redirect':
      return decodeRedirectAction(action.value, problems.at('redirect'))
    case 'directResponse':
      return decodeDirectResponse(action.value, scope.maxBodyBytes, problems.at('direct_response'))
    case 'nonForwardingAction':
      return { kind: 'non-forwarding' }
    default:
      return undefined
  }
}

function checkSpecifierPlugin({ clusterSpecifier }: RouteActionMessage, scope: RouteScope, problems: Problems): void {
  if (clusterSpecifier.case !== 'clusterSpecifierPlugin' || scope.specifierPlugins.has(clusterSpecifier.value)) return
  problems.addAt('cluster_specifier_plugin', `"${clusterSpecifier.value}" is not among cluster_specifier_plugins`)
}

function decodeDirectResponse(message: DirectResponseActionMessage, maxBodyBytes: number, problems: Problems): RouteAction {
  const { status } = message
  if (status < 200 || status >= 600) problems.addAt('status', `must be in [200, 600), got ${status}`)
  const body = message.body === undefined ? '' : readDataSource(message.body, problems.at('body'))
  const bytes = Buffer.byteLength(body)
  if (bytes > maxBodyBytes) problems.addAt('body', `must not be longer than ${maxBodyBytes} bytes, got ${bytes}`)
  return { kind: 'direct-response', status, body }
}
