/** Replaces trust domains in the values of policies by all that are one (Istio's trust domain migration). */
export class TrustDomains {
  /** The mesh's own, then its aliases. */
  readonly #all: readonly string[]

  constructor(trustDomain: string, aliases: readonly string[]) {
    this.#all = [trustDomain, ...aliases]
  }

  /** A principal of this mesh, or of `cluster.local`, which always means it, stands for those of every alias. */
  expandPrincipals(principals: readonly string[]): readonly string[] {
    return principals.flatMap(principal => {
      const [trustDomain = '', ...path] = principal.split('/')
      // Neither a principal of another form nor a wildcard for the trust domain names one.
      if (path.length !== 4 || trustDomain === '*') return [principal]
      if (trustDomain !== 'cluster.local' && !this.#all.some(each => overlap(trustDomain, each))) return [principal]
      const expanded = this.#all.map(each => (matchesSuffix(each, trustDomain) ? principal : [each, ...path].join('/')))
      return [...new Set(expanded)]
    })
  }

  expandTrustDomains(trustDomains: readonly string[]): readonly string[] {
    return [...new Set(trustDomains.flatMap(each => (this.#all.includes(each) ? this.#all : [each])))]
  }
}

function overlap(a: string, b: string): boolean {
  return a === b || b === '*' || matchesPrefix(a, b) || matchesPrefix(b, a) || matchesSuffix(a, b) || matchesSuffix(b, a)
}

const matchesPrefix = (text: string, pattern: string) => pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1))
const matchesSuffix = (text: string, pattern: string) => pattern.startsWith('*') && text.endsWith(pattern.slice(1))
