/**
 * The names of the listener of an authority, best first: the template with every `%s` replaced by the authority as it stands, or
 * percent-encoded when the template makes an `xdstp:` name (gRFC A47). A second one says the port 80 that an authority without one
 * means: servers such as Istio name listeners `host:port`.
 */
export function listenerNames(template: string, authority: string): readonly string[] {
  const name = (value: string) => template.replaceAll('%s', () => (template.startsWith('xdstp:') ? encodePath(value) : value))
  return hasPort(authority) ? [name(authority)] : [name(authority), name(`${authority}:80`)]
}

/** The name of the listener of a server: the template with every `%s` replaced by where it is bound (gRFC A36, percent-encoded as in A47). */
export function serverListenerName(template: string, address: string): string {
  return template.replaceAll('%s', () => (template.startsWith('xdstp:') ? encodePath(address) : address))
}

function hasPort(authority: string): boolean {
  return /^(\[[^\]]*\]|[^:]*):\d+$/.test(authority)
}

/** Leaves what may stand in a path (RFC 3986 3.3) and the slash. */
function encodePath(value: string): string {
  return encodeURIComponent(value).replaceAll(/%(3A|40|24|26|2B|2C|3B|3D|2F)/g, decodeURIComponent)
}
