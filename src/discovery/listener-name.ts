import { canonicalName, encodePath, encodeSegment, isFederated } from './resource-name.ts'

/** How the listeners of authorities are called (gRFC A47). */
export interface ListenerTemplates {
  /** Of names that say no authority of the bootstrap; every `%s` is the name. */
  readonly listenerTemplate: string
  /** Of the others, by authority. */
  readonly authorities?: ReadonlyMap<string, { readonly listenerTemplate: string }>
}

/** The template of an authority that has none of its own. */
export function defaultListenerTemplate(xdsAuthority: string): string {
  return `xdstp://${encodeSegment(xdsAuthority)}/envoy.config.listener.v3.Listener/%s`
}

/**
 * The names of the listener of an authority, best first: the template with every `%s` replaced by the authority as it stands, or
 * percent-encoded when the template makes an `xdstp:` name (gRFC A47). A second one says the port 80 that an authority without one
 * means: servers such as Istio name listeners `host:port`.
 */
export function listenerNames(template: string, authority: string): readonly string[] {
  return hasPort(authority) ? [expand(template, authority)] : [expand(template, authority), expand(template, `${authority}:80`)]
}

/**
 * The name of the listener of `xds://xdsAuthority/authority`. An authority that the bootstrap does not have gets the name that it would have,
 * which nobody can be asked for.
 */
export function federatedListenerName({ authorities }: ListenerTemplates, xdsAuthority: string, authority: string): string {
  return expand(authorities?.get(xdsAuthority)?.listenerTemplate ?? defaultListenerTemplate(xdsAuthority), authority)
}

/** The name of the listener of a server: the template with every `%s` replaced by where it is bound (gRFC A36, percent-encoded as in A47). */
export function serverListenerName(template: string, address: string): string {
  return expand(template, address)
}

function expand(template: string, value: string): string {
  if (!isFederated(template)) return template.replaceAll('%s', () => value)
  return canonicalName(template.replaceAll('%s', () => encodePath(value)))
}

function hasPort(authority: string): boolean {
  return /^(\[[^\]]*\]|[^:]*):\d+$/.test(authority)
}
