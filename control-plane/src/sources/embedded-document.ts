import type { PathStep, Position } from './problem.ts'
import type { SourceDocument } from './source-document.ts'

/** Where a text inside a document stands in its file. */
export interface EmbeddedText {
  readonly text: string
  /** Of a place in the text. */
  locate(line: number, column: number): Position
}

/** A document whose text is a value of another one, as in a ConfigMap. */
export class EmbeddedDocument implements SourceDocument {
  readonly file: string
  readonly value: unknown
  readonly #inner: SourceDocument
  readonly #text: EmbeddedText

  /** @param inner parsed from the text by itself */
  constructor(inner: SourceDocument, text: EmbeddedText) {
    this.file = inner.file
    this.value = inner.value
    this.#inner = inner
    this.#text = text
  }

  locate(path: readonly PathStep[]): Position {
    const { line, column } = this.#inner.locate(path)
    return this.#text.locate(line, column)
  }
}
