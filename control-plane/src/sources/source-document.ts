import type { EmbeddedText } from './embedded-document.ts'
import type { PathStep, Position } from './problem.ts'

/** One document of one file, parsed and not yet understood. */
export interface SourceDocument {
  readonly file: string
  /** Plain values as in JSON. */
  readonly value: unknown
  /** Where the field at `path` stands; for one that is not there, where its parent stands. */
  locate(path: readonly PathStep[]): Position
  /** The text at `path`, which may be a document by itself; `undefined` when there is none. */
  textAt?(path: readonly PathStep[]): EmbeddedText | undefined
}
