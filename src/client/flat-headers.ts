import type { MutableHeaders } from '../policies/header-mutation.ts'
import type { HeaderSource } from './route-request.ts'

/** A flat list of names and values (undici's request headers, Node's raw headers) that can be changed in place. */
export class FlatHeaders implements MutableHeaders {
  /** Names and values in turn, as undici takes them. */
  readonly list: string[]

  constructor(list: string[]) {
    this.list = list
  }

  /** Copies any form that undici accepts. A value list becomes as many lines. */
  static from(headers: HeaderSource): FlatHeaders {
    const list: string[] = []
    if (headers === null || headers === undefined) return new FlatHeaders(list)
    if (Array.isArray(headers)) {
      for (let at = 0; at + 1 < headers.length; at += 2) push(list, text(headers[at]), headers[at + 1])
    } else if (Symbol.iterator in headers) {
      for (const [name, value] of headers as Iterable<readonly [string, unknown]>) push(list, name, value)
    } else {
      for (const [name, value] of Object.entries(headers)) push(list, name, value)
    }
    return new FlatHeaders(list)
  }

  /** The first value of a header; `name` is lower case. */
  get(name: string): string | undefined {
    const at = this.#find(name, 0)
    return at < 0 ? undefined : this.list[at + 1]
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0
  }

  remove(name: string): void {
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at)) this.list.splice(at, 2)
  }

  set(name: string, value: string): void {
    const at = this.#find(name, 0)
    if (at < 0) {
      this.list.push(name, value)
      return
    }
    this.list[at + 1] = value
    for (let next = this.#find(name, at + 2); next >= 0; next = this.#find(name, next)) this.list.splice(next, 2)
  }

  append(name: string, value: string): void {
    this.list.push(name, value)
  }

  #find(name: string, from: number): number {
    const { list } = this
    for (let at = from; at < list.length; at += 2) {
      const key = list[at]
      if (key !== undefined && key.length === name.length && key.toLowerCase() === name) return at
    }
    return -1
  }
}

function push(list: string[], name: string, value: unknown): void {
  if (value === undefined || value === null) return
  if (Array.isArray(value)) for (const each of value) list.push(name, text(each))
  else list.push(name, text(value))
}

function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value)
}
