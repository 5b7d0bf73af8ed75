import { parseDocuments } from '../../src/sources/parse-documents.ts'
import { formatProblem, type Problem } from '../../src/sources/problem.ts'
import type { SecurityPolicies } from '../../src/validate/read-document.ts'
import { readDocuments } from '../../src/validate/read-documents.ts'

/** Decodes YAML as the file `mesh.yaml`. */
export function decode(yaml: string, securityPolicies: SecurityPolicies = 'refused') {
  const parsed = parseDocuments('mesh.yaml', yaml)
  const { documents, problems } = readDocuments(parsed.documents, securityPolicies)
  return { documents, problems: [...parsed.problems, ...problems] }
}

/** The lines an operator sees of one severity. */
export const linesOf = (problems: readonly Problem[], severity: Problem['severity']): readonly string[] =>
  problems.filter(problem => problem.severity === severity).map(formatProblem)

/** Decodes YAML that has no errors. */
export function decodeGood(yaml: string, securityPolicies: SecurityPolicies = 'refused') {
  const { documents, problems } = decode(yaml, securityPolicies)
  const errors = linesOf(problems, 'error')
  if (errors.length > 0) throw new Error(errors.join('\n'))
  return documents
}
