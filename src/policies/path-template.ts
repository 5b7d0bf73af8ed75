import { re2 } from './re2.ts'

/** Characters of a path segment; `*` and `=` are not literals in a template. */
const segment = "[a-zA-Z0-9\\-._~%!$&'()+,;:@=]"
const globs = { '*': `${segment}+`, '**': `[a-zA-Z0-9\\-._~%!$&'()+,;:@=/]*` } as const
const maxVariables = 5

/** A compiled path template (`envoy.path.match.uri_template.uri_template_matcher`). */
export interface PathTemplate {
  /** Whether the path, without its query, has the template's form. */
  matches(path: string): boolean
  /** The variables of a path that matches, or `null`. */
  variables(path: string): ReadonlyMap<string, string> | null
  readonly variableNames: readonly string[]
}

/**
 * Compiles `/users/{id}/{rest=**}`: `*` is one segment, `**` any number, `{name}` is `{name=*}`.
 *
 * @throws Error saying what is wrong with the template
 */
export function compilePathTemplate(template: string): PathTemplate {
  if (!template.startsWith('/')) throw new Error('must begin with /')
  const names: string[] = []
  let doubleSeen = false
  const glob = (operator: '*' | '**') => {
    if (doubleSeen) throw new Error('** must be the last operator')
    if (operator === '**') doubleSeen = true
    return globs[operator]
  }
  let regex = ''
  let at = 0
  while (at < template.length) {
    const char = template.charAt(at)
    if (char === '{') {
      const end = template.indexOf('}', at)
      if (end < 0) throw new Error(`has an unclosed { at ${at}`)
      const [name = '', pattern = '*'] = splitOnce(template.slice(at + 1, end), '=')
      if (!/^[a-zA-Z][a-zA-Z0-9_]{0,15}$/.test(name)) throw new Error(`has an invalid variable name "${name}"`)
      if (names.includes(name)) throw new Error(`has the variable "${name}" twice`)
      names.push(name)
      if (names.length > maxVariables) throw new Error(`has more than ${maxVariables} variables`)
      regex += `(${pattern
        .split('/')
        .map(part => compileSegment(part, glob))
        .join('/')})`
      at = end + 1
    } else {
      const end = template.slice(at).search(/[{]/)
      const literal = end < 0 ? template.slice(at) : template.slice(at, at + end)
      regex += literal
        .split('/')
        .map(part => compileSegment(part, glob))
        .join('/')
      at += literal.length
    }
  }
  const pattern = re2().RE2JS.compile(regex)
  return {
    variableNames: names,
    matches: path => pattern.testExact(path),
    variables(path) {
      const matcher = pattern.matcher(path)
      if (!matcher.matches()) return null
      return new Map(names.map((name, index) => [name, matcher.group(index + 1) ?? '']))
    },
  }
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)]
}

function compileSegment(part: string, glob: (operator: '*' | '**') => string): string {
  if (part === '*' || part === '**') return glob(part)
  if (part.startsWith('**')) return glob('**') + quoteLiteral(part.slice(2))
  if (part.startsWith('*')) return glob('*') + quoteLiteral(part.slice(1))
  return quoteLiteral(part)
}

function quoteLiteral(text: string): string {
  if (/[*={}]/.test(text)) throw new Error(`has an operator inside the segment "${text}"`)
  return re2().RE2JS.quote(text)
}

/** Builds a path from the variables of a {@link PathTemplate}. */
export interface PathTemplateRewrite {
  /** The new path, or `null` when `path` does not match the template. Neither has a query. */
  rewrite(path: string): string | null
}

/**
 * Compiles `/{b}/{a}` over the variables of `match` (`envoy.path.rewrite.uri_template.uri_template_rewriter`).
 *
 * @throws Error when it names a variable that `match` does not have
 */
export function compilePathTemplateRewrite(template: string, match: PathTemplate): PathTemplateRewrite {
  if (!template.startsWith('/')) throw new Error('must begin with /')
  const parts = template.split(/\{([^}]*)\}/)
  for (let index = 1; index < parts.length; index += 2) {
    const name = parts[index] ?? ''
    if (!match.variableNames.includes(name)) throw new Error(`names the variable "${name}", which the path template lacks`)
  }
  for (let index = 0; index < parts.length; index += 2) {
    if (/[*{}]/.test(parts[index] ?? '')) throw new Error(`has an operator in "${parts[index]}"`)
  }
  return {
    rewrite(path) {
      const variables = match.variables(path)
      if (variables === null) return null
      return parts.map((part, index) => (index % 2 === 1 ? (variables.get(part) ?? '') : part)).join('')
    },
  }
}
