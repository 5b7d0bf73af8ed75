import type { Random } from '../runtime.ts'
import { hash64, isHash64Loaded, loadHash64, randomHash } from './load-balancing/hash64.ts'
import { queryParameter } from './query-parameter-matcher.ts'
import { compileRegexSubstitution, type RegexSubstitution } from './regex-substitution.ts'

/** `RouteAction.HashPolicy`, decoded. */
export interface HashPolicy {
  readonly source:
    | {
        readonly kind: 'header'
        readonly name: string
        readonly rewrite: { readonly regex: string; readonly substitution: string } | undefined
      }
    | { readonly kind: 'cookie'; readonly name: string; readonly ttlMs: number | undefined; readonly path: string }
    | { readonly kind: 'source-ip' }
    | { readonly kind: 'query-parameter'; readonly name: string }
    | { readonly kind: 'filter-state'; readonly key: string }
  readonly terminal: boolean
}

/** What a request's hash is made of. */
export interface HashRequest {
  /** With its query. */
  readonly path: string
  /** By lower-case name. */
  header(name: string): string | readonly string[] | undefined
  /** `io.grpc.channel_id` and the like; absent where there is no such state. */
  filterState?(key: string): string | undefined
  /** Takes the `Set-Cookie` line that makes the next request come with the cookie that was missing. */
  setCookie?(line: string): void
}

interface CompiledSource {
  readonly policy: HashPolicy
  readonly rewrite: RegexSubstitution | null
}

/**
 * Computes the hash of a request from a route's hash policies (`RouteAction.hash_policy`): each one that finds its value rotates what there is by
 * one bit and mixes its own in; a terminal one ends the list once there is a hash. Before `loadHash64` has resolved there is none.
 */
export class CompiledHashPolicy {
  readonly #sources: readonly CompiledSource[]
  readonly #sourceIp: string

  /**
   * @param sourceIp what `source_ip` stands for in a process that is itself the source; empty gives no hash
   * @throws RE2JSException when a rewrite is not RE2
   */
  constructor(policies: readonly HashPolicy[], sourceIp = '') {
    // Without WebAssembly there is never a hash.
    loadHash64().catch(() => {})
    this.#sourceIp = sourceIp
    this.#sources = policies.map(policy => {
      const rewrite = policy.source.kind === 'header' ? policy.source.rewrite : undefined
      return { policy, rewrite: rewrite === undefined ? null : compileRegexSubstitution(rewrite) }
    })
  }

  /** The 64-bit hash, or `null` when no policy found its value: the pick is then at random. */
  hash(request: HashRequest, random: Random): bigint | null {
    if (!isHash64Loaded()) return null
    let hash: bigint | null = null
    for (const { policy, rewrite } of this.#sources) {
      const value = this.#valueOf(policy, rewrite, request, random)
      if (value !== undefined) {
        const own = hash64(value)
        // Rotated, so that two equal policies do not cancel each other out.
        hash = hash === null ? own : BigInt.asUintN(64, (hash << 1n) | (hash >> 63n)) ^ own
      }
      if (policy.terminal && hash !== null) break
    }
    return hash
  }

  #valueOf({ source }: HashPolicy, rewrite: RegexSubstitution | null, request: HashRequest, random: Random): string | undefined {
    switch (source.kind) {
      case 'header':
        return headerValue(request.header(source.name), rewrite)
      case 'cookie': {
        const value = cookieValue(request.header('cookie'), source.name)
        return value === undefined && source.ttlMs !== undefined ? makeCookie(source, source.ttlMs, request, random) : value
      }
      case 'source-ip':
        return this.#sourceIp === '' ? undefined : this.#sourceIp
      case 'query-parameter':
        return queryParameter(request.path, source.name)
      case 'filter-state':
        return request.filterState?.(source.key)
    }
  }
}

/** One value as it is; several in an order of their own, so that theirs does not matter. */
function headerValue(values: string | readonly string[] | undefined, rewrite: RegexSubstitution | null): string | undefined {
  if (values === undefined) return undefined
  if (typeof values === 'string') return rewrite === null ? values : rewrite.replaceAll(values)
  if (values.length === 0) return undefined
  const rewritten = rewrite === null ? [...values] : values.map(each => rewrite.replaceAll(each))
  return rewritten.sort().join('')
}

/** The value of a cookie, without its quotes; `undefined` when there is none of that name. */
export function cookieValue(header: string | readonly string[] | undefined, name: string): string | undefined {
  if (header === undefined) return undefined
  if (typeof header !== 'string') {
    for (const each of header) {
      const value = cookieValue(each, name)
      if (value !== undefined) return value
    }
    return undefined
  }
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue
    const value = pair.slice(equals + 1).trim()
    return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
  }
  return undefined
}

/** A new cookie, when a lifetime says that there is to be one; a lifetime of 0 makes a session cookie. */
function makeCookie(
  { name, path }: { readonly name: string; readonly path: string },
  ttlMs: number,
  request: HashRequest,
  random: Random,
): string | undefined {
  if (request.setCookie === undefined) return undefined
  const value = randomHash(random(), random()).toString(16).padStart(16, '0')
  const age = ttlMs === 0 ? '' : `; Max-Age=${Math.floor(ttlMs / 1000)}`
  request.setCookie(`${name}="${value}"${age}${path === '' ? '' : `; Path=${path}`}; HttpOnly`)
  return value
}
