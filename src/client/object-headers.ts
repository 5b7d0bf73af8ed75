import type { MutableHeaders } from '../policies/header-mutation.ts'

/** Response headers in the form of Node's `IncomingHttpHeaders` (lower-case names) that can be changed in place. */
export class ObjectHeaders implements MutableHeaders {
  readonly headers: Record<string, string | string[] | undefined>

  constructor(headers: Record<string, string | string[] | undefined>) {
    this.headers = headers
  }

  /** The first value of a header. */
  get(name: string): string | undefined {
    const value = this.headers[name]
    return typeof value === 'string' ? value : value?.[0]
  }

  has(name: string): boolean {
    return this.headers[name] !== undefined
  }

  remove(name: string): void {
    delete this.headers[name]
  }

  set(name: string, value: string): void {
    this.headers[name] = name === 'set-cookie' ? [value] : value
  }

  append(name: string, value: string): void {
    const before = this.headers[name]
    if (before === undefined) this.set(name, value)
    else this.headers[name] = typeof before === 'string' ? [before, value] : [...before, value]
  }
}
