/** One step into a document: a field name or a list index. */
export type PathStep = string | number

/** Where in a file something is. Lines and columns count from 1; 0 means the file as a whole. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Something an operator has to know about a document. An error refuses the whole change; a warning does not. */
export interface Problem extends Position {
  readonly severity: 'error' | 'warning'
  /** `Kind namespace/name`, or empty when the document could not be read that far. */
  readonly object: string
  /** `spec.http[0].route[1].weight`, or empty for the document as a whole. */
  readonly field: string
  readonly message: string
}

/** `mesh/reviews.yaml:14:9: VirtualService default/reviews: spec.http[0].route[1].weight: must be …`. */
export function formatProblem({ file, line, column, object, field, message }: Problem): string {
  const at = line > 0 ? `${file}:${line}:${column}` : file
  return [at, object, field, message].filter(Boolean).join(': ')
}

/** `['spec', 'http', 0, 'a.b']` as `spec.http[0]["a.b"]`. */
export function formatPath(path: readonly PathStep[]): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(step)}]`
  }
  return text
}
