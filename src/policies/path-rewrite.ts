import { compilePathTemplate, compilePathTemplateRewrite } from './path-template.ts'
import { compileRegexSubstitution, type RegexMatchAndSubstitute } from './regex-substitution.ts'

/** How a route rewrites the path it matched. */
export type PathRewriteRule =
  | { readonly kind: 'prefix'; readonly value: string }
  | ({ readonly kind: 'regex' } & RegexMatchAndSubstitute)
  | { readonly kind: 'template'; readonly template: string }
  | { readonly kind: 'replace'; readonly value: string }

/** What a route matched the path by, as far as a rewrite depends on it. */
export type MatchedPath =
  | { readonly kind: 'exact' | 'prefix' | 'separated-prefix'; readonly value: string }
  | { readonly kind: 'regex' }
  | { readonly kind: 'template'; readonly template: string }

/** Rewrites a path. */
export interface PathRewriter {
  /** @param path with its query, which is kept; `path` itself comes back when nothing changes */
  rewrite(path: string): string
}

/**
 * Compiles a rewrite.
 *
 * `prefix` replaces the prefix that was matched, and the whole path when the route matched by exact path, regex or template
 * (`RouteAction.prefix_rewrite`). `regex` replaces every match in the path. The query is never part of what is rewritten.
 *
 * @throws Error when a regex or template is not legal
 */
export function compilePathRewrite(rule: PathRewriteRule, matched: MatchedPath): PathRewriter {
  switch (rule.kind) {
    case 'prefix': {
      const { value } = rule
      if (matched.kind === 'prefix' || matched.kind === 'separated-prefix') {
        const { length } = matched.value
        return { rewrite: path => value + path.slice(length) }
      }
      return { rewrite: path => value + queryOf(path) }
    }
    case 'replace': {
      const { value } = rule
      // A query of its own replaces the request's (`RedirectAction.path_redirect`).
      return value.includes('?') ? { rewrite: () => value } : { rewrite: path => value + queryOf(path) }
    }
    case 'regex': {
      const substitution = compileRegexSubstitution(rule)
      return { rewrite: path => substitution.replaceAll(withoutQuery(path)) + queryOf(path) }
    }
    case 'template': {
      if (matched.kind !== 'template') throw new Error('needs a route that matches by path template')
      const rewrite = compilePathTemplateRewrite(rule.template, compilePathTemplate(matched.template))
      return {
        rewrite(path) {
          const rewritten = rewrite.rewrite(withoutQuery(path))
          return rewritten === null ? path : rewritten + queryOf(path)
        },
      }
    }
  }
}

/** The path in front of its query. */
export function withoutQuery(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? path : path.slice(0, at)
}

/** The query with its question mark, or nothing. */
export function queryOf(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? '' : path.slice(at)
}
