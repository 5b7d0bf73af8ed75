import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

/** A YAML or JSON file that knows where each of its values stands. */
export class ConfigFile {
  readonly path: string
  /** The document as plain values. */
  readonly value: unknown
  /** Mistakes of YAML itself, each with file, line and column. */
  readonly errors: readonly string[]
  readonly #document: Document
  readonly #lines = new LineCounter()

  constructor(path: string, text: string) {
    this.path = path
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true })
    this.errors = this.#document.errors.map(error => `${this.#position(error.pos[0])}: ${error.message}`)
    this.value = this.errors.length === 0 ? this.#document.toJS() : undefined
  }

  /** `file:line:column` of the value at `path`, or of the nearest one around it that is there. */
  locate(path: readonly (string | number)[]): string {
    let node = this.#document.contents as Node | null
    let offset = node?.range?.[0] ?? 0
    for (const step of path) {
      const next = child(node, step)
      if (next === undefined) break
      offset = next.offset
      node = next.node
    }
    return this.#position(offset)
  }

  /**
   * {@link locate} by the field path of a decoder's error. Such a path leaves out the wrapping of extensions
   * (`typed_config`, the second `api_listener`), which is looked through here.
   */
  locateField(base: readonly (string | number)[], fieldPath: string): string {
    const steps = [...fieldPath.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, index, name]) =>
      index === undefined ? (quoted ?? name ?? '') : Number(index),
    )
    const path = [...base]
    for (const step of steps) {
      const wrapped = wrappings.map(wrapping => [...path, ...wrapping, step]).find(each => this.#has(each))
      if (wrapped === undefined) break
      path.splice(0, path.length, ...wrapped)
    }
    return this.locate(path)
  }

  #has(path: readonly (string | number)[]): boolean {
    let node = this.#document.contents as Node | null
    for (const step of path) {
      const next = child(node, step)
      if (next === undefined) return false
      node = next.node
    }
    return true
  }

  #position(offset: number): string {
    const { line, col } = this.#lines.linePos(offset)
    return `${this.path}:${line}:${col}`
  }
}

const wrappings: readonly (readonly string[])[] = [[], ['typed_config'], ['typedConfig'], ['api_listener'], ['apiListener']]

interface Child {
  readonly node: Node | null
  /** Of the key in a map, so that an error about `a: 1` points at `a`. */
  readonly offset: number
}

function child(node: Node | null, step: string | number): Child | undefined {
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step]
    return isNode(item) ? { node: item, offset: item.range?.[0] ?? 0 } : undefined
  }
  if (!isMap(node)) return undefined
  const pair = node.items.find(({ key }) => isScalar(key) && (key.value === step || key.value === camelCase(step)))
  if (pair === undefined) return undefined
  const value = isNode(pair.value) ? pair.value : null
  return { node: value, offset: (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? 0 }
}

function camelCase(step: string | number): string {
  return String(step).replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
