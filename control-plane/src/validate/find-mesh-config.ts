import { EmbeddedDocument } from '../sources/embedded-document.ts'
import { parseDocuments } from '../sources/parse-documents.ts'
import type { PathStep, Problem } from '../sources/problem.ts'
import type { SourceDocument } from '../sources/source-document.ts'

/** Where in which document a MeshConfig stands. */
export interface FoundMeshConfig {
  readonly document: SourceDocument
  readonly path: readonly PathStep[]
  /** What could not be parsed. */
  readonly problems: readonly Problem[]
}

/**
 * Finds the MeshConfig that a document is, or holds: the ConfigMap `istio` (of a revision: `istio-REVISION`) with its `data.mesh`, as Istio
 * keeps it; the `spec.meshConfig` of an IstioOperator, as it is installed by; or the message itself, without a kind.
 */
export function findMeshConfig(document: SourceDocument): FoundMeshConfig | undefined {
  const { value } = document
  if (!isRecord(value)) return undefined
  const { apiVersion, kind } = value
  if (apiVersion === undefined && (kind === undefined || kind === 'MeshConfig') && 'extensionProviders' in value)
    return { document, path: [], problems: [] }
  if (apiVersion === 'install.istio.io/v1alpha1' && kind === 'IstioOperator')
    return { document, path: ['spec', 'meshConfig'], problems: [] }
  if (apiVersion !== 'v1' || kind !== 'ConfigMap') return undefined
  const { metadata, data } = value
  const name = isRecord(metadata) ? metadata.name : undefined
  const isMesh = typeof name === 'string' && /^istio(-.+)?$/.test(name) && isRecord(data) && 'mesh' in data
  return isMesh ? inText(document, ['data', 'mesh']) : undefined
}

function inText(document: SourceDocument, path: readonly PathStep[]): FoundMeshConfig {
  const text = document.textAt?.(path)
  if (text === undefined) return { document, path, problems: [] }
  const parsed = parseDocuments(document.file, text.text)
  const problems = parsed.problems.map(each => ({ ...each, ...text.locate(each.line, each.column) }))
  const [inner] = parsed.documents
  return inner === undefined
    ? {
        document: new EmbeddedDocument({ file: document.file, value: {}, locate: () => document.locate(path) }, text),
        path: [],
        problems,
      }
    : { document: new EmbeddedDocument(inner, text), path: [], problems }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
