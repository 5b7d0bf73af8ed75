/** The full host name that `host` means in an object of `namespace`: a name without a dot is a service of that namespace. */
export function resolveHost(host: string, namespace: string): string {
  return host.includes('.') || host.startsWith('*') ? host : `${host}.${namespace}.svc.cluster.local`
}

/** Whether `host` is `pattern`, which may begin with `*`. */
export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*')) return pattern === host
  const suffix = pattern.slice(1)
  return host.length > suffix.length && host.endsWith(suffix)
}

/** Of several patterns with their values, the one that fits `host` most closely: the name itself, else the longest wildcard. */
export function closestMatch<T>(patterns: Iterable<readonly [string, T]>, host: string): T | undefined {
  let best: string | undefined
  let found: T | undefined
  for (const [pattern, value] of patterns) {
    if (pattern === host) return value
    if ((best === undefined || pattern.length > best.length) && pattern.startsWith('*') && hostMatches(pattern, host)) {
      best = pattern
      found = value
    }
  }
  return found
}
