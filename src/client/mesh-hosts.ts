import { isIP } from 'node:net'

/**
 * To whom a host belongs.
 *
 * `mesh`: the call goes through the mesh and waits for discovery. `outside`: the call goes straight to the previous dispatcher.
 * `probe`: it goes straight out too, and the name is asked for in the background; once there is a listener for it, it is the mesh's.
 */
export type HostOwner = 'mesh' | 'outside' | 'probe'

/** How the owner of a host is found. */
export type HostRule =
  /** By pattern alone: `host`, `host:port`, `*.suffix`, `*.suffix:port` or `*`. */
  | { readonly kind: 'patterns'; readonly patterns: readonly string[] }
  /** By the shape of the name: see {@link ownerByShape}. */
  | { readonly kind: 'shape' }
  /**
   * A static configuration answers at once, so every name may be asked for. IP literals and `localhost` are asked for only where one of
   * its domains is that very name: `*` does not claim them.
   */
  | { readonly kind: 'static'; readonly domains: readonly string[] }

interface Pattern {
  readonly host: string
  readonly isSuffix: boolean
  /** Empty: any port. */
  readonly port: string
}

/** Decides which hosts are the mesh's. Pure; called once per origin, not per request. */
export class MeshHosts {
  readonly #rule: HostRule
  readonly #patterns: readonly Pattern[]

  constructor(rule: HostRule) {
    this.#rule = rule
    this.#patterns = rule.kind === 'patterns' ? rule.patterns.map(parsePattern) : []
  }

  /**
   * @param hostname lower case, without brackets
   * @param port the effective port, the scheme's default included
   */
  owner(hostname: string, port: string): HostOwner {
    switch (this.#rule.kind) {
      case 'patterns':
        return this.#patterns.some(pattern => matches(pattern, hostname, port)) ? 'mesh' : 'outside'
      case 'shape':
        return ownerByShape(hostname)
      case 'static': {
        if (ownerByShape(hostname) !== 'outside') return 'probe'
        const name = hostname.includes(':') ? `[${hostname}]` : hostname
        return this.#rule.domains.some(domain => domain === name || domain === `${name}:${port}`) ? 'probe' : 'outside'
      }
    }
  }

  /** Whether a host is taken for the mesh's by its shape alone, so that the control plane may turn out not to know it. */
  get guesses(): boolean {
    return this.#rule.kind === 'shape'
  }

  /** The authorities named without a wildcard: they are watched from the start. */
  get exactNames(): readonly string[] {
    return this.#patterns
      .filter(({ isSuffix, host }) => !isSuffix && host !== '*')
      .map(({ host, port }) => {
        const name = host.includes(':') ? `[${host}]` : host
        return port === '' ? name : `${name}:${port}`
      })
  }
}

/** Reads `INMESH_HOSTS`: patterns separated by commas or white space. `undefined` when there are none. */
export function parseMeshHosts(value: string | undefined): readonly string[] | undefined {
  const patterns = (value ?? '').split(/[\s,]+/).filter(pattern => pattern !== '')
  return patterns.length > 0 ? patterns : undefined
}

const meshSuffixes = ['.svc', '.svc.cluster.local', '.mesh', '.internal']

/**
 * Single-label names except `localhost`, and names under `.svc`, `.svc.cluster.local`, `.mesh` and `.internal`, are the mesh's. IP
 * literals and `localhost` never are. Any other dotted name may turn out to be.
 */
export function ownerByShape(hostname: string): HostOwner {
  if (hostname === '' || hostname === 'localhost' || hostname.endsWith('.localhost') || isIP(hostname) !== 0) return 'outside'
  if (!hostname.includes('.')) return 'mesh'
  return meshSuffixes.some(suffix => hostname.endsWith(suffix)) ? 'mesh' : 'probe'
}

function parsePattern(pattern: string): Pattern {
  const [, bracketed, bare = '', port = ''] = /^(?:\[(.+)\]|([^:]*|.*::.*))(?::(\d+|\*))?$/.exec(pattern.toLowerCase()) ?? []
  const host = bracketed ?? bare
  const anyPort = port === '*' ? '' : port
  return host.startsWith('*.') ? { host: host.slice(1), isSuffix: true, port: anyPort } : { host, isSuffix: false, port: anyPort }
}

function matches(pattern: Pattern, hostname: string, port: string): boolean {
  if (pattern.port !== '' && pattern.port !== port) return false
  if (pattern.isSuffix) return hostname.length > pattern.host.length && hostname.endsWith(pattern.host)
  return pattern.host === '*' || pattern.host === hostname
}
