import { formatPath, type PathStep, type Problem } from '../sources/problem.ts'
import type { SourceDocument } from '../sources/source-document.ts'

/** Collects what is wrong with one document. */
export class ProblemSink {
  readonly problems: Problem[] = []
  /** `Kind namespace/name`, as soon as it is known. */
  object = ''
  readonly #document: SourceDocument

  constructor(document: SourceDocument) {
    this.#document = document
  }

  get failed(): boolean {
    return this.problems.some(({ severity }) => severity === 'error')
  }

  add(severity: Problem['severity'], path: readonly PathStep[], message: string): void {
    const { object } = this
    const field = formatPath(path)
    // A decoder may look at a wrong value more than once.
    if (this.problems.some(known => known.field === field && known.message === message)) return
    this.problems.push({ severity, ...this.#document.locate(path), object, field, message })
  }
}
