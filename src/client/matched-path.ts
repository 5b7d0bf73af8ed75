import type { PathMatch } from '../discovery/model/route.ts'
import type { MatchedPath } from '../policies/path-rewrite.ts'

/** What a rewrite must know of the way in which a route matched the path. */
export function matchedPath(path: PathMatch): MatchedPath {
  switch (path.kind) {
    case 'regex':
      return { kind: 'regex' }
    case 'template':
      return { kind: 'template', template: path.template }
    default:
      return { kind: path.kind, value: path.value }
  }
}

/** A low-cardinality form of the path for metrics and spans: the exact path, the prefix and `*`, or the template. */
export function urlTemplate(path: PathMatch): string {
  switch (path.kind) {
    case 'exact':
      return path.value
    case 'prefix':
      return `${path.value}*`
    case 'separated-prefix':
      return `${path.value}/*`
    case 'template':
      return path.template
    case 'regex':
      return ''
  }
}
