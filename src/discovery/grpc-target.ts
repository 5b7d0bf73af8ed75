import { isIPv6 } from 'node:net'

/** Where a gRPC target is reached. */
export type GrpcAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly authority: string }
  | { readonly kind: 'unix'; readonly path: string; readonly authority: string }

/** The port of a name without one (gRPC naming, `dns:` scheme). */
const defaultPort = 443

/**
 * Reads a gRPC target: `host`, `host:port`, `[v6]:port`, `dns:[//server/]host[:port]`, `passthrough:///host:port`, `ipv4:a.b.c.d:port`,
 * `ipv6:[…]:port`, `unix:path`, `unix:///path`, `unix-abstract:name`. Of several addresses after `ipv4:` or `ipv6:` the first is taken. A DNS
 * server named by the target is passed over: the system resolves.
 *
 * @throws Error that names the target
 */
export function parseGrpcTarget(target: string): GrpcAddress {
  const [, scheme = '', rest = ''] = /^(dns|passthrough|ipv4|ipv6|unix|unix-abstract):(.*)$/s.exec(target) ?? ['', 'dns', target]
  switch (scheme) {
    case 'unix':
      return { kind: 'unix', path: rest.replace(/^\/\/[^/]*/, ''), authority: 'localhost' }
    case 'unix-abstract':
      return { kind: 'unix', path: `\0${rest}`, authority: 'localhost' }
    case 'ipv4':
    case 'ipv6':
      return tcp(rest.split(',')[0] ?? '', target)
    default:
      return tcp(rest.replace(/^\/\/[^/]*\//, ''), target)
  }
}

function tcp(endpoint: string, target: string): GrpcAddress {
  const [, bracketed, name, digits] = /^(?:\[([^\]]+)\]|([^:/]+))(?::(\d+))?$/.exec(endpoint) ?? []
  const host = bracketed ?? name ?? (isIPv6(endpoint) ? endpoint : '')
  const port = digits === undefined ? defaultPort : Number(digits)
  if (host === '' || port > 65_535) throw new Error(`${JSON.stringify(target)} is no gRPC target`)
  return { kind: 'tcp', host, port, authority: `${host.includes(':') ? `[${host}]` : host}:${port}` }
}
