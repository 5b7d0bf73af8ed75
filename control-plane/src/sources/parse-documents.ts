import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml'
import type { EmbeddedText } from './embedded-document.ts'
import { kubernetesYaml } from './kubernetes-yaml.ts'
import type { PathStep, Position, Problem } from './problem.ts'
import type { SourceDocument } from './source-document.ts'

/** What a file holds. */
export interface ParsedFile {
  readonly documents: readonly SourceDocument[]
  readonly problems: readonly Problem[]
}

/**
 * Parses the documents of a file as Kubernetes does; the items of a `List` count as documents of their own, empty documents as none.
 *
 * @param file as it shall stand in errors
 */
export function parseDocuments(file: string, text: string): ParsedFile {
  const lines = new LineCounter()
  const documents: SourceDocument[] = []
  const problems: Problem[] = []
  const refuse = (offset: number, message: string) => {
    const { line, col } = lines.linePos(offset)
    problems.push({ severity: 'error', file, line, column: col, object: '', field: '', message })
  }
  const parsed = parseAllDocuments(text, {
    ...kubernetesYaml,
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    logLevel: 'silent',
  })
  for (const document of Array.isArray(parsed) ? parsed : []) {
    for (const { pos, message } of document.errors) refuse(pos[0], message)
    if (document.errors.length > 0) continue
    try {
      // Refuses aliases that multiply.
      const value: unknown = document.toJS({ maxAliasCount: 100 })
      if (value !== null && value !== undefined) documents.push(...split(new ParsedDocument(file, text, value, document, lines)))
    } catch (error) {
      refuse(document.range[0], error instanceof Error ? error.message : String(error))
    }
  }
  return { documents, problems }
}

class ParsedDocument implements SourceDocument {
  readonly file: string
  readonly value: unknown
  readonly #text: string
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #base: readonly PathStep[]

  constructor(
    file: string,
    text: string,
    value: unknown,
    document: Document,
    lines: LineCounter,
    base: readonly PathStep[] = [],
  ) {
    this.file = file
    this.#text = text
    this.value = value
    this.#document = document
    this.#lines = lines
    this.#base = base
  }

  /** The document that the part at `path` is by itself. */
  part(value: unknown, path: readonly PathStep[]): ParsedDocument {
    return new ParsedDocument(this.file, this.#text, value, this.#document, this.#lines, path)
  }

  textAt(path: readonly PathStep[]): EmbeddedText | undefined {
    const node = this.#document.getIn([...this.#base, ...path], true)
    if (!isScalar(node) || typeof node.value !== 'string') return undefined
    const text = node.value
    const whole = this.locate(path)
    // Only in a literal block does a line of the text stand for one of the file.
    if (node.type !== 'BLOCK_LITERAL' || !node.range) return { text, locate: () => whole }
    const { offset, indent } = blockStart(this.#text, node.range[0])
    const first = this.#lines.linePos(offset).line
    return { text, locate: (line, column) => ({ file: this.file, line: first + line - 1, column: indent + column }) }
  }

  locate(path: readonly PathStep[]): Position {
    let offset = this.#document.contents?.range?.[0] ?? 0
    let node: Node | undefined = this.#document.contents ?? undefined
    for (const step of [...this.#base, ...path]) {
      node = isAlias(node) ? node.resolve(this.#document) : node
      let next: unknown
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : String(key)) === String(step))
        if (!pair) break
        if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0]
        next = pair.value
      } else if (isSeq(node)) {
        next = node.items[Number(step)]
        if (isNode(next) && next.range) offset = next.range[0]
      }
      if (!isNode(next)) break
      node = next
    }
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.file, line, column: col }
  }
}

/** Where the lines of a block begin, and how far they are indented. */
function blockStart(text: string, header: number): { readonly offset: number; readonly indent: number } {
  const offset = text.indexOf('\n', header) + 1
  const [, spaces = ''] = /^(?:[ \t]*\r?\n)*( *)/.exec(text.slice(offset)) ?? []
  return { offset, indent: spaces.length }
}

function split(document: ParsedDocument): readonly SourceDocument[] {
  const { value } = document
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('items' in value)) return [document]
  if (typeof value.kind !== 'string' || !value.kind.endsWith('List') || !Array.isArray(value.items)) return [document]
  return value.items.map((item: unknown, index) => document.part(item, ['items', index]))
}
