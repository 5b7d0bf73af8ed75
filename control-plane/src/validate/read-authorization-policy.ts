import type {
  AuthorizationAction,
  AuthorizationCondition,
  AuthorizationPolicy,
  AuthorizationRule,
  WantedValues,
} from '../model/authorization-policy.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import { conditionOf } from './authorization-values.ts'
import { readOperation, readSource } from './read-authorization-peer.ts'
import { readSelector, refuseTargets } from './read-selector.ts'
import { readTexts } from './read-texts.ts'
import type { Value } from './value.ts'

/** Annotation of a policy that is evaluated and not enforced. */
export const dryRunAnnotation = 'istio.io/dry-run'

/** Reads the spec of an AuthorizationPolicy. Without one it allows nothing. */
export function readAuthorizationPolicy(meta: ObjectMeta, spec: Value, annotations: Value): AuthorizationPolicy {
  const fields = spec.fields('selector', 'targetRef', 'targetRefs', 'action', 'provider', 'rules')
  refuseTargets(fields.targetRef, fields.targetRefs)
  const action = fields.action.asOneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']) ?? 'ALLOW'
  const rules = fields.rules.items().map(item => readRule(item.required(), action))
  if (rules.length === 0 && (action === 'DENY' || action === 'CUSTOM'))
    spec.error(`has no rules: ${action} would never apply; an empty rule {} applies to every request`)
  return {
    meta,
    selector: readSelector(fields.selector),
    action,
    provider: readProvider(fields.provider, action),
    isDryRun: readDryRun(annotations.field(dryRunAnnotation), action),
    rules,
  }
}

function readProvider(provider: Value, action: AuthorizationAction): string {
  if (action !== 'CUSTOM') {
    if (!provider.isAbsent) provider.error(`is for the action CUSTOM, not for ${action}`)
    return ''
  }
  const { name } = provider.required().fields('name')
  const text = provider.isAbsent ? '' : (name.required().asString() ?? '')
  if (text === '' && !name.isAbsent) name.error('must not be empty')
  return text
}

/** As Go reads a boolean. */
function readDryRun(annotation: Value, action: AuthorizationAction): boolean {
  const text = annotation.asString() ?? 'false'
  if (!annotation.isAbsent && action !== 'ALLOW' && action !== 'DENY')
    annotation.error(`is for the actions ALLOW and DENY, not for ${action}`)
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (!/^(0|f|F|FALSE|false|False)$/.test(text)) annotation.error(`must be true or false, got ${JSON.stringify(text)}`)
  return false
}

function readRule(rule: Value, action: AuthorizationAction): AuthorizationRule {
  const { from, to, when } = rule.fields('from', 'to', 'when')
  for (const list of [from, to]) if (!list.isAbsent && list.items().length === 0) list.error('must not be empty')
  const result = {
    from: from.items().map(item => readSource(item.required().fields('source').source.required(), action)),
    to: to.items().map(item => readOperation(item.required().fields('operation').operation.required())),
    when: when.items().map(item => readCondition(item.required(), action)),
  }
  if (action === 'DENY' && isHttpOnly(result))
    rule.warn('is about HTTP alone, and on a port that is not HTTP denies everything; give the ports')
  return result
}

/** Istio's rule for its warning. */
function isHttpOnly({ from, to }: AuthorizationRule): boolean {
  const isGiven = ({ values, notValues }: WantedValues) => values.length + notValues.length > 0
  const hasTcpSource = from.some(({ requestPrincipals: _, trustDomains: __, ...others }) => Object.values(others).some(isGiven))
  if (to.length > 0) return !to.some(({ ports }) => isGiven(ports))
  return from.length > 0 && !hasTcpSource
}

function readCondition(condition: Value, action: AuthorizationAction): AuthorizationCondition {
  const fields = condition.fields('key', 'values', 'notValues')
  const key = fields.key.required().asString() ?? ''
  const kind = fields.key.isAbsent ? { check: () => undefined } : conditionOf(key)
  if ('fault' in kind) fields.key.error(kind.fault)
  if (
    action === 'CUSTOM' &&
    (/^source\.(namespace|serviceAccount|trustDomain|principal)$/.test(key) || key.startsWith('request.auth.'))
  )
    fields.key.error('is not supported with the action CUSTOM')
  const check = 'check' in kind ? kind.check : undefined
  const [values, notValues] = [readTexts(fields.values, check), readTexts(fields.notValues, check)]
  if (values.length + notValues.length === 0) condition.error('must have values or notValues')
  return { key, values, notValues }
}
