import type { ObjectMeta } from '../model/object-meta.ts'
import type { DeclaredMtlsMode, PeerAuthentication } from '../model/peer-authentication.ts'
import { readSelector } from './read-selector.ts'
import type { Value } from './value.ts'

/** Reads the spec of a PeerAuthentication. */
export function readPeerAuthentication(meta: ObjectMeta, spec: Value): PeerAuthentication {
  const fields = spec.fields('selector', 'mtls', 'portLevelMtls')
  const selector = readSelector(fields.selector)
  const ports = fields.portLevelMtls.entries()
  if (!fields.portLevelMtls.isAbsent && ports.length === 0) fields.portLevelMtls.error('must not be empty')
  if (ports.length > 0 && Object.keys(selector).length === 0)
    fields.portLevelMtls.error('needs a selector: modes of ports are for workloads, not for namespaces')
  return { meta, selector, mode: readMode(fields.mtls), portModes: new Map(ports.map(([key, item]) => readPortMode(key, item))) }
}

function readPortMode(key: string, value: Value): readonly [number, DeclaredMtlsMode] {
  const port = Number(key)
  if (!/^\d+$/.test(key) || port < 1 || port > 65_535) value.error('must be of a port, 1 to 65535')
  return [port, readMode(value)]
}

function readMode(mtls: Value): DeclaredMtlsMode {
  return mtls.fields('mode').mode.asOneOf(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']) ?? 'UNSET'
}
