import type { RedirectAction as RedirectActionMessage } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import type { RedirectAction } from '../model/route.ts'
import type { Problems } from './problems.ts'
import { decodeRegexSubstitution } from './regex.ts'

const statuses = [301, 302, 303, 307, 308] as const

/** Decodes `RedirectAction`. */
export function decodeRedirectAction(message: RedirectActionMessage, problems: Problems): RedirectAction {
  const status = statuses[message.responseCode]
  if (status === undefined) problems.addAt('response_code', `is unknown: ${message.responseCode}`)
  if (message.portRedirect > 65_535) problems.addAt('port_redirect', `must be <= 65535, got ${message.portRedirect}`)
  return {
    kind: 'redirect',
    status: status ?? 301,
    scheme: decodeScheme(message),
    host: message.hostRedirect === '' ? undefined : message.hostRedirect,
    port: message.portRedirect === 0 ? undefined : message.portRedirect,
    path: decodePath(message, problems),
    stripQuery: message.stripQuery,
  }
}

function decodeScheme({ schemeRewriteSpecifier }: RedirectActionMessage): string | undefined {
  if (schemeRewriteSpecifier.case === 'httpsRedirect') return schemeRewriteSpecifier.value ? 'https' : undefined
  const scheme = schemeRewriteSpecifier.value
  return scheme === undefined || scheme === '' ? undefined : scheme
}

function decodePath({ pathRewriteSpecifier }: RedirectActionMessage, problems: Problems): RedirectAction['path'] {
  switch (pathRewriteSpecifier.case) {
    case 'pathRedirect':
      return pathRewriteSpecifier.value === '' ? undefined : { kind: 'replace', value: pathRewriteSpecifier.value }
    case 'prefixRewrite':
      return { kind: 'prefix', value: pathRewriteSpecifier.value }
    case 'regexRewrite':
      return { kind: 'regex', ...decodeRegexSubstitution(pathRewriteSpecifier.value, problems.at('regex_rewrite')) }
    default:
      return undefined
  }
}
