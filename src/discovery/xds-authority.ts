import type { JsonReader } from './json-reader.ts'
import { defaultListenerTemplate } from './listener-name.ts'
import { encodeSegment } from './resource-name.ts'
import { readServer, type XdsServer } from './xds-server.ts'

/** An entry of `authorities` (gRFC A47). */
export interface AuthorityConfig {
  /** In order of preference (gRFC A71). Default: those at the top of the bootstrap. */
  readonly servers: readonly [XdsServer, ...XdsServer[]]
  /** Turns the name of `xds://AUTHORITY/name` into that of its listener. Default `xdstp://AUTHORITY/envoy.config.listener.v3.Listener/%s`. */
  readonly listenerTemplate: string
}

/**
 * Reads `authorities` of a bootstrap.
 *
 * @param servers of the authorities that name none
 * @throws the error of the reader, naming the path
 */
export function readAuthorities(root: JsonReader, servers: AuthorityConfig['servers']): ReadonlyMap<string, AuthorityConfig> {
  const given = root.object('authorities')
  const authorities = new Map<string, AuthorityConfig>()
  for (const name of Object.keys(given?.fields ?? {})) {
    const authority = given?.object(name)
    if (authority === undefined) continue
    const [first, ...rest] = authority.array('xds_servers').map(readServer)
    authorities.set(name, {
      servers: first === undefined ? servers : [first, ...rest],
      listenerTemplate: readTemplate(authority, name),
    })
  }
  return authorities
}

function readTemplate(authority: JsonReader, name: string): string {
  const field = 'client_listener_resource_name_template'
  const template = authority.string(field)
  if (!template) return defaultListenerTemplate(name)
  const prefix = `xdstp://${encodeSegment(name)}/`
  // Both spellings, since a name is mostly written as it is.
  if (template.startsWith(prefix) || template.startsWith(`xdstp://${name}/`)) return template
  throw authority.error(field, `must begin with ${prefix}, got ${JSON.stringify(template)}`)
}
