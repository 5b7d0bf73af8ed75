import type { MeshDocuments } from '../model/mesh-documents.ts'
import { compareAge, type ObjectMeta, objectName } from '../model/object-meta.ts'
import type { Problem } from '../sources/problem.ts'
import type { SourceDocument } from '../sources/source-document.ts'
import { crossCheck } from './cross-check.ts'
import { type MeshObject, readDocument } from './read-document.ts'

/** The documents of an operator, or what is wrong with them. */
export interface DecodedDocuments {
  /** Without the documents that have errors. */
  readonly documents: MeshDocuments
  /** Of all documents, in the order of the files. */
  readonly problems: readonly Problem[]
}

/** Decodes all documents and finds everything that is wrong with each and with all together. */
export function readDocuments(sources: readonly SourceDocument[]): DecodedDocuments {
  const problems: Problem[] = []
  const objects: MeshObject[] = []
  const seen = new Map<string, ObjectMeta>()
  for (const source of sources) {
    const { decoded, problems: found } = readDocument(source)
    problems.push(...found)
    if (!decoded) continue
    const { meta } = decoded.object
    const name = objectName(meta)
    const twin = seen.get(name)
    if (twin) {
      const { file, line } = twin.locate([])
      const message = `is there twice: also at ${file}:${line}`
      problems.push({ severity: 'error', ...meta.locate([]), object: name, field: '', message })
      continue
    }
    seen.set(name, meta)
    objects.push(decoded)
  }
  const documents = sortObjects(objects)
  return { documents, problems: [...problems, ...crossCheck(documents)] }
}

function sortObjects(objects: readonly MeshObject[]): MeshDocuments {
  const byAge = [...objects].sort((a, b) => compareAge(a.object.meta, b.object.meta))
  return {
    gatewayRoutes: byAge.flatMap(each => (each.kind === 'gateway-route' ? [each.object] : [])),
    virtualServices: byAge.flatMap(each => (each.kind === 'virtual-service' ? [each.object] : [])),
    destinationRules: byAge.flatMap(each => (each.kind === 'destination-rule' ? [each.object] : [])),
    serviceEntries: byAge.flatMap(each => (each.kind === 'service-entry' ? [each.object] : [])),
    workloadEntries: byAge.flatMap(each => (each.kind === 'workload-entry' ? [each.object] : [])),
    services: byAge.flatMap(each => (each.kind === 'service' ? [each.object] : [])),
    endpointSlices: byAge.flatMap(each => (each.kind === 'endpoint-slice' ? [each.object] : [])),
    meshConfigs: byAge.flatMap(each => (each.kind === 'mesh-config' ? [each.object] : [])),
    authorizationPolicies: byAge.flatMap(each => (each.kind === 'authorization-policy' ? [each.object] : [])),
    peerAuthentications: byAge.flatMap(each => (each.kind === 'peer-authentication' ? [each.object] : [])),
    requestAuthentications: byAge.flatMap(each => (each.kind === 'request-authentication' ? [each.object] : [])),
  }
}
