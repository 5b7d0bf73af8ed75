import { inspect } from 'node:util'

/** Response headers as undici hands them over: lower-case names, a list where a header came more than once. */
export type IncomingHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/**
 * The immutable `Headers` of a response. `get` and `has` read what undici parsed; everything else builds Node's own `Headers` first,
 * once. Passes `instanceof Headers`.
 */
export class MeshHeaders implements Headers {
  readonly #incoming: IncomingHeaders
  #native: Headers | null = null

  constructor(incoming: IncomingHeaders) {
    this.#incoming = incoming
  }

  get(name: string): string | null {
    if (this.#native !== null || typeof name !== 'string') return this.#whole().get(name)
    const value = this.#incoming[name.toLowerCase()]
    if (typeof value === 'string') return value
    return value === undefined && token.test(name) ? null : this.#whole().get(name)
  }

  has(name: string): boolean {
    if (this.#native !== null || typeof name !== 'string') return this.#whole().has(name)
    const value = this.#incoming[name.toLowerCase()]
    if (typeof value === 'string') return true
    return value === undefined && token.test(name) ? false : this.#whole().has(name)
  }

  getSetCookie(): string[] {
    return this.#whole().getSetCookie()
  }

  append(name: string, value: string): void {
    new Headers().append(name, value)
    throw new TypeError('immutable')
  }

  set(name: string, value: string): void {
    new Headers().set(name, value)
    throw new TypeError('immutable')
  }

  delete(name: string): void {
    new Headers().delete(name)
    throw new TypeError('immutable')
  }

  forEach(callback: (value: string, key: string, parent: Headers) => void, thisArg: unknown = globalThis): void {
    const native = this.#whole()
    if (typeof callback !== 'function') native.forEach(callback)
    for (const [key, value] of native) callback.call(thisArg, value, key, this)
  }

  keys(): ReturnType<Headers['keys']> {
    return this.#whole().keys()
  }

  values(): ReturnType<Headers['values']> {
    return this.#whole().values()
  }

  entries(): ReturnType<Headers['entries']> {
    return this.#whole().entries()
  }

  [Symbol.iterator](): ReturnType<Headers['entries']> {
    return this.#whole().entries()
  }

  [inspect.custom](_depth: number, options: object): string {
    return inspect(this.#whole(), options)
  }

  #whole(): Headers {
    if (this.#native !== null) return this.#native
    const headers = new Headers()
    for (const name of Object.keys(this.#incoming)) {
      const value = this.#incoming[name]
      if (typeof value === 'string') headers.append(name, value)
      else if (value !== undefined) for (const each of value) headers.append(name, each)
    }
    this.#native = headers
    return headers
  }
}

/** Gives `derived` the prototype and the constructor of a platform class whose constructor is too dear, or too closed, to be run. */
export function standInFor(derived: abstract new (...args: never) => object, platform: { readonly prototype: object }): void {
  const { prototype } = derived
  Object.setPrototypeOf(prototype, platform.prototype)
  Reflect.deleteProperty(prototype, 'constructor')
  // The platform's members are enumerable, those of a class are not.
  for (const name of Object.getOwnPropertyNames(prototype)) Object.defineProperty(prototype, name, { enumerable: true })
}
