import type {
  AuthorizationAction,
  AuthorizationOperation,
  AuthorizationSource,
  WantedValues,
} from '../model/authorization-policy.ts'
import { ipBlockFault, pathFault, portFault, serviceAccountFault, trustDomainFault } from './authorization-values.ts'
import { readTexts, type TextCheck } from './read-texts.ts'
import type { Value } from './value.ts'

/** Most service accounts of one list. */
const maxServiceAccounts = 16

/** Reads `from[].source`. */
export function readSource(source: Value, action: AuthorizationAction): AuthorizationSource {
  const fields = source.fields(
    'principals',
    'notPrincipals',
    'requestPrincipals',
    'notRequestPrincipals',
    'namespaces',
    'notNamespaces',
    'serviceAccounts',
    'notServiceAccounts',
    'trustDomains',
    'notTrustDomains',
    'ipBlocks',
    'notIpBlocks',
    'remoteIpBlocks',
    'notRemoteIpBlocks',
  )
  const result: AuthorizationSource = {
    principals: readWanted(fields.principals, fields.notPrincipals),
    requestPrincipals: readWanted(fields.requestPrincipals, fields.notRequestPrincipals),
    namespaces: readWanted(fields.namespaces, fields.notNamespaces),
    serviceAccounts: readWanted(fields.serviceAccounts, fields.notServiceAccounts, serviceAccountFault),
    trustDomains: readWanted(fields.trustDomains, fields.notTrustDomains, trustDomainFault),
    ipBlocks: readWanted(fields.ipBlocks, fields.notIpBlocks, ipBlockFault),
    remoteIpBlocks: readWanted(fields.remoteIpBlocks, fields.notRemoteIpBlocks, ipBlockFault),
  }
  requireSome(source, result)
  for (const list of [fields.serviceAccounts, fields.notServiceAccounts])
    if (list.items().length > maxServiceAccounts) list.error(`must be ${maxServiceAccounts} at most`)
  if (isGiven(result.serviceAccounts) && (isGiven(result.principals) || isGiven(result.namespaces)))
    source.error('must not have serviceAccounts together with principals or namespaces')
  if (action === 'CUSTOM') {
    const { ipBlocks: _, notIpBlocks: __, remoteIpBlocks: ___, notRemoteIpBlocks: ____, ...others } = fields
    for (const list of Object.values(others)) if (list.items().length > 0) list.error('is not supported with the action CUSTOM')
  }
  return result
}

/** Reads `to[].operation`. */
export function readOperation(operation: Value): AuthorizationOperation {
  const fields = operation.fields('hosts', 'notHosts', 'ports', 'notPorts', 'methods', 'notMethods', 'paths', 'notPaths')
  const result: AuthorizationOperation = {
    hosts: readWanted(fields.hosts, fields.notHosts),
    ports: readWanted(fields.ports, fields.notPorts, portFault),
    methods: readWanted(fields.methods, fields.notMethods),
    paths: readWanted(fields.paths, fields.notPaths, pathFault),
  }
  requireSome(operation, result)
  return result
}

function readWanted(values: Value, notValues: Value, check?: TextCheck): WantedValues {
  for (const list of [values, notValues])
    if (!list.isAbsent && list.items().length === 0) list.warn('is empty, and so has no effect')
  return { values: readTexts(values, check), notValues: readTexts(notValues, check) }
}

const isGiven = ({ values, notValues }: WantedValues) => values.length + notValues.length > 0

function requireSome(value: Value, wanted: AuthorizationSource | AuthorizationOperation): void {
  const all: readonly WantedValues[] = Object.values(wanted)
  if (!value.isAbsent && !all.some(isGiven)) value.error('must not be empty')
}
