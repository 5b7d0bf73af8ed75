import type { ObjectMeta } from '../model/object-meta.ts'
import type { MutualTlsMode, PeerAuthentication } from '../model/peer-authentication.ts'
import { readSelector } from './read-selector.ts'
import type { Value } from './value.ts'

const modes = ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] as const

/** Reads the spec of a PeerAuthentication. */
export function readPeerAuthentication(meta: ObjectMeta, spec: Value): PeerAuthentication {
  const fields = spec.fields('selector', 'mtls', 'portLevelMtls')
  const selector = readSelector(fields.selector)
  const portModes = new Map<number, MutualTlsMode | 'UNSET'>()
  for (const [port, value] of fields.portLevelMtls.entries()) {
    const number = Number(port)
    if (!Number.isInteger(number) || number < 1 || number > 65_535) value.error(`${JSON.stringify(port)} is not a port`)
    else portModes.set(number, readMode(value))
  }
  if (portModes.size > 0 && selector === undefined) fields.portLevelMtls.error('needs a selector')
  return { meta, selector, mode: readMode(fields.mtls), portModes }
}

function readMode(value: Value): MutualTlsMode | 'UNSET' {
  return value.fields('mode').mode.asOneOf(modes) ?? 'UNSET'
}
