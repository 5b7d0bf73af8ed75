/**
 * Finds the virtual host of an authority (`VirtualHost.domains`): exact, then the longest suffix wildcard, then the longest
 * prefix wildcard, then `*`. A wildcard stands for one character at least.
 */
export class DomainTable<T> {
  readonly #exact = new Map<string, T>()
  readonly #suffixes = new Wildcards<T>()
  readonly #prefixes = new Wildcards<T>()
  #any: T | null = null

  /**
   * @param domain lower case
   * @returns whether it was added; one that is there already keeps its value
   */
  add(domain: string, value: T): boolean {
    if (domain === '*') {
      if (this.#any !== null) return false
      this.#any = value
      return true
    }
    if (domain.startsWith('*')) return this.#suffixes.add(domain.slice(1), value)
    if (domain.endsWith('*')) return this.#prefixes.add(domain.slice(0, -1), value)
    if (this.#exact.has(domain)) return false
    this.#exact.set(domain, value)
    return true
  }

  /** @param authority in any case */
  find(authority: string): T | null {
    const host = authority.toLowerCase()
    return this.#exact.get(host) ?? this.#suffixes.endOf(host) ?? this.#prefixes.startOf(host) ?? this.#any
  }
}

/** Fixed ends of wildcard domains, grouped by length, longest first. */
class Wildcards<T> {
  readonly #byLength: { readonly length: number; readonly values: Map<string, T> }[] = []

  add(end: string, value: T): boolean {
    let group = this.#byLength.find(each => each.length === end.length)
    if (group === undefined) {
      group = { length: end.length, values: new Map() }
      this.#byLength.push(group)
      this.#byLength.sort((left, right) => right.length - left.length)
    }
    if (group.values.has(end)) return false
    group.values.set(end, value)
    return true
  }

  endOf(host: string): T | undefined {
    for (const { length, values } of this.#byLength) {
      if (length >= host.length) continue
      const value = values.get(host.slice(host.length - length))
      if (value !== undefined) return value
    }
    return undefined
  }

  startOf(host: string): T | undefined {
    for (const { length, values } of this.#byLength) {
      if (length >= host.length) continue
      const value = values.get(host.slice(0, length))
      if (value !== undefined) return value
    }
    return undefined
  }
}

const port = /^\d{1,5}$/

/** The host of an authority without its port; an IPv6 address keeps its brackets. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || !port.test(authority.slice(colon + 1))) return authority
  if (authority.startsWith('[') ? authority.charAt(colon - 1) !== ']' : authority.indexOf(':') !== colon) return authority
  return authority.slice(0, colon)
}
