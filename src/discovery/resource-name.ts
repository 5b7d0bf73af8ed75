/** What a name of the form `xdstp://authority/type/id?key=value` says (gRFC A47); everything decoded. */
export interface ResourceName {
  readonly authority: string
  /** The full name of a message, such as `envoy.config.listener.v3.Listener`. */
  readonly type: string
  readonly id: string
  /** Context parameters; of one that is there twice the last. */
  readonly context: ReadonlyMap<string, string>
}

const scheme = 'xdstp:'

/** Whether a name says which authority it belongs to; all others belong to the control plane at the top of the bootstrap. */
export function isFederated(name: string): boolean {
  return name.startsWith(scheme)
}

/**
 * Reads an `xdstp:` name. Directives after a `#` say how a resource is asked for and not which it is, and are passed over.
 *
 * @returns `undefined` when it cannot be read
 */
export function parseResourceName(name: string): ResourceName | undefined {
  const [, authority, type, id, query] = /^xdstp:\/\/([^/?#]*)\/([^/?#]+)\/([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s.exec(name) ?? []
  if (authority === undefined || type === undefined || id === undefined) return undefined
  const context = new Map<string, string>()
  try {
    for (const parameter of query?.split('&') ?? []) {
      if (parameter === '') continue
      const at = parameter.indexOf('=')
      const [key, value] = at < 0 ? [parameter, ''] : [parameter.slice(0, at), parameter.slice(at + 1)]
      context.set(decodeURIComponent(key), decodeURIComponent(value))
    }
    return { authority: decodeURIComponent(authority), type: decodeURIComponent(type), id: decodeURIComponent(id), context }
  } catch {
    return undefined
  }
}

/** The one way to write a name: context parameters by key, and only what must be percent-encoded is (gRFC A47). */
export function formatResourceName({ authority, type, id, context }: ResourceName): string {
  const parameters = [...context].sort(([one], [other]) => (one < other ? -1 : 1))
  const query = parameters.map(([key, value]) => `${encodeParameter(key)}=${encodeParameter(value)}`).join('&')
  return `${scheme}//${encodeSegment(authority)}/${encodeSegment(type)}/${encodePath(id)}${query === '' ? '' : `?${query}`}`
}

/**
 * The form of a name in which two that mean the same are equal. Names of other forms are what they are, and so is one that cannot be read.
 */
export function canonicalName(name: string): string {
  if (!isFederated(name)) return name
  const parsed = parseResourceName(name)
  return parsed === undefined ? name : formatResourceName(parsed)
}

/** The same for one segment: the slash that would end it is encoded. */
export function encodeSegment(value: string): string {
  return encodePath(value).replaceAll('/', '%2F')
}

/** Leaves what may stand in a path (RFC 3986 3.3) and the slash. */
export function encodePath(value: string): string {
  return encodeURIComponent(value).replaceAll(/%(3A|40|24|26|2B|2C|3B|3D|2F)/g, decodeURIComponent)
}

/** Leaves what may stand in a query (RFC 3986 3.4), except what separates parameters. */
function encodeParameter(value: string): string {
  return encodeURIComponent(value).replaceAll(/%(3A|40|24|2C|3B|2F|3F)/g, decodeURIComponent)
}
