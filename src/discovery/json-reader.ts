import type { JsonObject, JsonValue } from '@bufbuild/protobuf'

/** Reads the fields of a JSON object, and names the path of one that is of the wrong kind. Unknown fields are never looked at. */
export class JsonReader {
  readonly fields: JsonObject
  readonly #path: string
  readonly #fail: (message: string) => Error

  private constructor(value: unknown, path: string, fail: (message: string) => Error) {
    if (!isFields(value)) throw fail(`${path || 'the document'}: must be an object, got ${show(value)}`)
    this.fields = value
    this.#path = path
    this.#fail = fail
  }

  /** @param fail makes the error that is thrown, from a message that begins with the path */
  static of(value: unknown, fail: (message: string) => Error): JsonReader {
    return new JsonReader(value, '', fail)
  }

  /** The error of a field. */
  error(field: string, message: string): Error {
    return this.#fail(`${this.#at(field)}: ${message}`)
  }

  string(field: string): string | undefined {
    const value = this.#get(field)
    if (value === undefined || typeof value === 'string') return value
    throw this.error(field, `must be a string, got ${show(value)}`)
  }

  /** The strings of a list; its other elements are passed over. */
  strings(field: string): string[] {
    return this.#list(field).filter(value => typeof value === 'string')
  }

  object(field: string): JsonReader | undefined {
    const value = this.#get(field)
    return value === undefined ? undefined : new JsonReader(value, this.#at(field), this.#fail)
  }

  /** A list of objects. */
  array(field: string): JsonReader[] {
    return this.#list(field).map((value, index) => new JsonReader(value, `${this.#at(field)}[${index}]`, this.#fail))
  }

  #list(field: string): readonly JsonValue[] {
    const value = this.#get(field)
    if (value === undefined) return []
    if (Array.isArray(value)) return value
    throw this.error(field, `must be a list, got ${show(value)}`)
  }

  #get(field: string): JsonValue | undefined {
    return Object.hasOwn(this.fields, field) ? (this.fields[field] ?? undefined) : undefined
  }

  #at(field: string): string {
    return this.#path === '' ? field : `${this.#path}.${field}`
  }
}

function isFields(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80)
}
