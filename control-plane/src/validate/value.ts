import type { PathStep } from '../sources/problem.ts'
import type { ProblemSink } from './problem-sink.ts'

/**
 * A value of a document while it is decoded, with its path. The `as…` methods give `undefined` for an absent value and, after
 * reporting it, for a wrong one; so a decoder goes on and finds every mistake. YAML's null is absence, as for Kubernetes.
 */
export class Value {
  readonly path: readonly PathStep[]
  readonly #value: unknown
  readonly #sink: ProblemSink

  constructor(value: unknown, path: readonly PathStep[], sink: ProblemSink) {
    this.#value = value ?? undefined
    this.path = path
    this.#sink = sink
  }

  get isAbsent(): boolean {
    return this.#value === undefined
  }

  get isString(): boolean {
    return typeof this.#value === 'string'
  }

  error(message: string): void {
    this.#sink.add('error', this.path, message)
  }

  warn(message: string): void {
    this.#sink.add('warning', this.path, message)
  }

  /** Reports an absent value. */
  required(): this {
    if (this.isAbsent) this.error('is required')
    return this
  }

  asString(): string | undefined {
    const value = this.#value
    if (value === undefined || typeof value === 'string') return value
    this.error(`must be a string, got ${show(value)}${typeof value === 'object' ? '' : '; put it in quotes'}`)
    return undefined
  }

  asBoolean(): boolean | undefined {
    const value = this.#value
    if (value === undefined || typeof value === 'boolean') return value
    this.error(`must be true or false, got ${show(value)}`)
    return undefined
  }

  asNumber(minimum: number, maximum: number): number | undefined {
    const value = this.#value
    if (value === undefined) return undefined
    if (typeof value !== 'number' || Number.isNaN(value)) this.error(`must be a number, got ${show(value)}`)
    else if (value < minimum || value > maximum) this.error(`must be in [${minimum}, ${maximum}], got ${value}`)
    else return value
    return undefined
  }

  asInteger(minimum: number, maximum: number): number | undefined {
    const value = this.#value
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isInteger(value)) this.error(`must be an integer, got ${show(value)}`)
    else if (value < minimum || value > maximum) this.error(`must be in [${minimum}, ${maximum}], got ${value}`)
    else return value
    return undefined
  }

  asOneOf<const Name extends string>(names: readonly Name[]): Name | undefined {
    const value = this.#value
    if (value === undefined) return undefined
    const found = names.find(name => name === value)
    if (found === undefined) this.error(`must be one of ${names.join(', ')}, got ${show(value)}`)
    return found
  }

  /** The elements of a list; none for an absent one. */
  items(): readonly Value[] {
    const value = this.#value
    if (value === undefined) return []
    if (Array.isArray(value)) return value.map((item: unknown, index) => this.#child(item, index))
    this.error(`must be a list, got ${show(value)}`)
    return []
  }

  /** The entries of a map; none for an absent one. */
  entries(): readonly (readonly [string, Value])[] {
    const value = this.#object()
    return value ? Object.entries(value).map(([key, item]) => [key, this.#child(item, key)]) : []
  }

  /** An object that may have the named fields and no others. An absent one has none of them. */
  fields<const Name extends string>(...names: readonly Name[]): Readonly<Record<Name, Value>> {
    const value = this.#object() ?? {}
    for (const key of Object.keys(value)) {
      if (!names.some(name => name === key)) this.#child(value[key], key).error(`is not a field${suggestion(key, names)}`)
    }
    const entries = names.map(name => [name, this.#child(value[name], name)] as const)
    return Object.fromEntries(entries) as Record<Name, Value>
  }

  /** One field of an object of which more fields are nobody's business. */
  field(name: string): Value {
    return this.#child(this.#object()?.[name], name)
  }

  #object(): Readonly<Record<string, unknown>> | undefined {
    const value = this.#value
    if (value === undefined) return undefined
    if (isRecord(value)) return value
    this.error(`must be an object, got ${show(value)}`)
    return undefined
  }

  #child(value: unknown, step: PathStep): Value {
    return new Value(value, [...this.path, step], this.#sink)
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function suggestion(key: string, names: readonly string[]): string {
  const near = names.find(name => name.toLowerCase() === key.toLowerCase() || distance(name, key) <= 2)
  return near ? `; did you mean ${near}?` : ''
}

/** Edit distance, for short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
