import { isIP } from 'node:net'
import type { Attribute, AuthorizationPolicy, AuthorizationRule, Condition } from '../model/authorization-policy.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import { isHeaderName } from './names.ts'
import { readSelector, refuseTargets } from './read-selector.ts'
import type { Value } from './value.ts'

const dryRun = 'istio.io/dry-run'

/** Reads the spec of an AuthorizationPolicy. What cannot be enforced is an error, for leaving it out would open what it closes. */
export function readAuthorizationPolicy(
  meta: ObjectMeta,
  spec: Value,
  annotations: Readonly<Record<string, string>>,
): AuthorizationPolicy {
  const fields = spec.fields('selector', 'targetRef', 'targetRefs', 'rules', 'action', 'provider')
  refuseTargets(fields)
  const action = fields.action.asOneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']) ?? 'ALLOW'
  if (action === 'CUSTOM') fields.action.error('CUSTOM is not supported')
  else if (!fields.provider.isAbsent) fields.provider.error('is for CUSTOM alone')
  const rules = fields.rules.items().map(readRule)
  if (action === 'DENY' && rules.length === 0) fields.rules.error('must not be empty: a DENY without rules denies nothing')
  return {
    meta,
    selector: readSelector(fields.selector),
    action: action === 'CUSTOM' ? 'DENY' : action,
    rules,
    isDryRun: annotations[dryRun] === 'true',
  }
}

function readRule(value: Value): AuthorizationRule {
  const { from, to, when } = value.fields('from', 'to', 'when')
  if (!from.isAbsent && from.items().length === 0) from.error('must not be empty: leave it out for anybody')
  if (!to.isAbsent && to.items().length === 0) to.error('must not be empty: leave it out for anything')
  return {
    from: from.items().map(item => readSource(item.fields('source').source.required())),
    to: to.items().map(item => readOperation(item.fields('operation').operation.required())),
    when: when.items().map(readWhen),
  }
}

function readSource(value: Value): readonly Condition[] {
  const f = value.fields(
    'principals',
    'notPrincipals',
    'requestPrincipals',
    'notRequestPrincipals',
    'namespaces',
    'notNamespaces',
    'serviceAccounts',
    'notServiceAccounts',
    'ipBlocks',
    'notIpBlocks',
    'remoteIpBlocks',
    'notRemoteIpBlocks',
  )
  const pairs: readonly (readonly [Attribute['kind'], Value, Value])[] = [
    ['principal', f.principals, f.notPrincipals],
    ['request-principal', f.requestPrincipals, f.notRequestPrincipals],
    ['namespace', f.namespaces, f.notNamespaces],
    ['service-account', f.serviceAccounts, f.notServiceAccounts],
    ['ip', f.ipBlocks, f.notIpBlocks],
    ['ip', f.remoteIpBlocks, f.notRemoteIpBlocks],
  ]
  if (!f.serviceAccounts.isAbsent && !(f.principals.isAbsent && f.namespaces.isAbsent))
    f.serviceAccounts.error('excludes principals and namespaces')
  return readPairs(value, pairs)
}

function readOperation(value: Value): readonly Condition[] {
  const f = value.fields('hosts', 'notHosts', 'ports', 'notPorts', 'methods', 'notMethods', 'paths', 'notPaths')
  const pairs: readonly (readonly [Attribute['kind'], Value, Value])[] = [
    ['host', f.hosts, f.notHosts],
    ['port', f.ports, f.notPorts],
    ['method', f.methods, f.notMethods],
    ['path', f.paths, f.notPaths],
  ]
  return readPairs(value, pairs)
}

function readPairs(value: Value, pairs: readonly (readonly [Attribute['kind'], Value, Value])[]): readonly Condition[] {
  const conditions = pairs.flatMap(([kind, values, notValues]) => {
    if (values.isAbsent && notValues.isAbsent) return []
    const attribute = { kind } as Attribute
    return [{ attribute, values: readValues(values, attribute), notValues: readValues(notValues, attribute) }]
  })
  if (conditions.length === 0) value.error('must ask for something')
  return conditions
}

const keys: Readonly<Record<string, Attribute['kind']>> = {
  'source.ip': 'ip',
  'remote.ip': 'ip',
  'source.namespace': 'namespace',
  'source.principal': 'principal',
  'source.serviceAccount': 'service-account',
  'request.auth.principal': 'request-principal',
  'request.auth.audiences': 'audience',
  'request.auth.presenter': 'presenter',
  'destination.ip': 'destination-ip',
  'destination.port': 'port',
  'connection.sni': 'sni',
}

function readWhen(value: Value): Condition {
  const { key, values, notValues } = value.fields('key', 'values', 'notValues')
  const attribute = attributeOf(key)
  if (values.items().length + notValues.items().length === 0) value.error('must have values or notValues')
  return { attribute, values: readValues(values, attribute), notValues: readValues(notValues, attribute) }
}

function attributeOf(key: Value): Attribute {
  const text = key.required().asString() ?? ''
  const kind = Object.hasOwn(keys, text) ? keys[text] : undefined
  if (kind !== undefined) return { kind } as Attribute
  const header = /^request\.headers\[(.+)\]$/.exec(text)?.[1]
  if (header !== undefined && isHeaderName(header)) return { kind: 'header', name: header.toLowerCase() }
  const claims = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/.exec(text)?.[1]
  if (claims !== undefined) return { kind: 'claim', path: claims.slice(1, -1).split('][') }
  if (text !== '') key.error(`${JSON.stringify(text)} is not supported`)
  return { kind: 'header', name: '' }
}

/** They need a token that somebody verified. */
const ofTokens: ReadonlySet<Attribute['kind']> = new Set(['request-principal', 'audience', 'presenter', 'claim'])

function readValues(value: Value, attribute: Attribute): readonly string[] {
  if (!value.isAbsent && ofTokens.has(attribute.kind)) value.error('is not supported: tokens are not verified')
  if (!value.isAbsent && value.items().length === 0) value.error('must not be empty: leave it out')
  return value.items().flatMap(item => {
    const text = item.asString()
    if (text === undefined) return []
    const fault = faultOf(text, attribute)
    if (fault !== undefined) item.error(`${JSON.stringify(text)} ${fault}`)
    return [text]
  })
}

function faultOf(text: string, { kind }: Attribute): string | undefined {
  switch (kind) {
    case 'ip':
    case 'destination-ip': {
      const [address = '', length, ...more] = text.split('/')
      const family = isIP(address)
      const isLength = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 6 ? 128 : 32))
      return family === 0 || !isLength || more.length > 0 ? 'is not an IP address or block' : undefined
    }
    case 'port':
      return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536 ? undefined : 'is not a port'
    case 'path':
      return pathFault(text)
    case 'service-account':
      return /^[^*/]+(\/[^*/]+)?$/.test(text) ? undefined : 'must be name or namespace/name, without wildcard'
    default:
      return text === '' ? 'must not be empty' : undefined
  }
}

function pathFault(text: string): string | undefined {
  if (text === '') return 'must not be empty'
  if (!/[{}]/.test(text)) return undefined
  const parts = text.split('/').slice(1)
  const isTemplate = parts.every(part => part === '{*}' || part === '{**}' || !/[{}*]/.test(part))
  if (!text.startsWith('/') || !isTemplate) return 'is not a template: {*} and {**} stand for whole segments'
  const after = parts.slice(parts.indexOf('{**}') + 1)
  return parts.includes('{**}') && after.some(part => part.startsWith('{')) ? 'must not have an operator after {**}' : undefined
}
