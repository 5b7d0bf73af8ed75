import { parseArgs } from 'node:util'
import { silentLogger, systemClock } from '../runtime.ts'
import { FileSource } from '../sources/file-source.ts'
import { formatProblem, type Problem } from '../sources/problem.ts'
import { readDocuments } from '../validate/read-documents.ts'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

/** `inmesh validate`: says what is wrong with the documents in a folder, as lines on standard error or as JSON on standard output. */
export async function validate(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { output: { type: 'string', short: 'o', default: 'text' } },
  })
  const [folder, ...more] = positionals
  if (folder === undefined || more.length > 0) throw new UsageError('validate takes one DIR')
  if (values.output !== 'text' && values.output !== 'json') throw new UsageError(`-o: ${values.output} is neither text nor json`)

  const source = new FileSource({ folder, runtime: { clock: systemClock, logger: silentLogger } })
  const { documents, problems: unreadable } = source.read()
  const problems = [...unreadable, ...readDocuments(documents).problems]
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (values.output === 'json') {
    terminal.out(JSON.stringify({ valid: errors.length === 0, documents: documents.length, problems }))
  } else {
    for (const problem of problems) terminal.err(line(problem))
    if (errors.length === 0) terminal.out(`${documents.length} documents are valid`)
  }
  // That the folder itself cannot be read is no fault of the documents.
  if (unreadable.some(({ file, line }) => file === folder && line === 0)) return exitCode.failed
  return errors.length > 0 ? exitCode.badData : exitCode.ok
}

function line(problem: Problem): string {
  return problem.severity === 'warning' ? `${formatProblem(problem)} (warning)` : formatProblem(problem)
}
