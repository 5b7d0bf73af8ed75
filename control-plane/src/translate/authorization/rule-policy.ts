import type { MessageInitShape } from '@bufbuild/protobuf'
import type { PolicySchema } from 'inmesh/gen/envoy/config/rbac/v3/rbac_pb'
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationRule,
  AuthorizationSource,
  WantedValues,
} from '../../model/authorization-policy.ts'
import type { Generator, Permission, Principal } from './rule-generators.ts'
import * as generators from './rule-generators.ts'
import type { TrustDomains } from './trust-domains.ts'

/** What a rule is translated for. */
export interface RuleContext {
  /** Namespace of the policy. */
  readonly namespace: string
  readonly trustDomains: TrustDomains
  /** `tcp`: of a request nothing is known but its connection. */
  readonly protocol: 'http' | 'tcp'
  /** Whether a rule that cannot be expressed is left out, rather than widened by leaving out what cannot. */
  readonly isAllow: boolean
}

interface Requirement<Rule> extends WantedValues {
  readonly generator: Generator<Rule>
}

/**
 * Translates one rule as Istio does: its conditions go to the permissions or the principals, whichever they are about, behind those of each
 * operation and source.
 *
 * @returns `undefined` when an ALLOW rule asks on TCP for what only HTTP has
 */
export function rulePolicy(rule: AuthorizationRule, context: RuleContext): MessageInitShape<typeof PolicySchema> | undefined {
  const { from, to, when } = rule
  const permissions = requirementsOf(when, permissionGenerator)
  const principals = requirementsOf(when, ({ key }) => principalGenerator(key, context.namespace)).map(each =>
    migrate(each, context),
  )
  const operations = to.length === 0 ? [permissions] : to.map(each => [...ofOperation(each), ...permissions])
  const sources = from.length === 0 ? [principals] : from.map(each => [...ofSource(each, context), ...principals])
  const isLost = (each: Requirement<unknown>) => context.protocol === 'tcp' && each.generator.isHttpOnly
  if (context.isAllow && [...operations.flat(), ...sources.flat()].some(isLost)) return undefined
  return {
    permissions: operations.map(each => allPermissions(each.filter(requirement => !isLost(requirement)))),
    principals: sources.map(each => allPrincipals(each.filter(requirement => !isLost(requirement)))),
  }
}

function requirementsOf<Rule>(
  conditions: readonly AuthorizationCondition[],
  generatorOf: (condition: AuthorizationCondition) => Generator<Rule> | undefined,
): readonly Requirement<Rule>[] {
  return conditions.flatMap(condition => {
    const generator = generatorOf(condition)
    return generator === undefined ? [] : [{ ...condition, generator }]
  })
}

function permissionGenerator({ key }: AuthorizationCondition): Generator<Permission> | undefined {
  if (key === 'destination.ip') return generators.destinationIps
  if (key === 'destination.port') return generators.ports
  if (key === 'connection.sni') return generators.serverNames
  const [, filter, name = ''] = /^experimental\.(envoy\.filters\.[^[]*)\[(.*)\]$/.exec(key) ?? []
  return filter === undefined ? undefined : generators.filterMetadata(filter, name)
}

function principalGenerator(key: string, namespace: string): Generator<Principal> | undefined {
  const [, attribute, brackets = ''] = /^(request\.headers|request\.auth\.claims)(\[.+\])$/.exec(key) ?? []
  if (attribute === 'request.headers') return generators.requestHeaders(brackets.slice(1, -1))
  if (attribute !== undefined) return generators.claims(claimPath(brackets))
  switch (key) {
    case 'source.ip':
      return generators.sourceIps
    case 'remote.ip':
      return generators.remoteIps
    case 'source.namespace':
      return generators.namespaces
    case 'source.trustDomain':
      return generators.trustDomains
    case 'source.serviceAccount':
      return generators.serviceAccounts(namespace)
    case 'source.principal':
      return generators.sourcePrincipals
    case 'request.auth.principal':
      return generators.requestPrincipals
    case 'request.auth.audiences':
      return generators.claims(['aud'])
    case 'request.auth.presenter':
      return generators.claims(['azp'])
    default:
      return undefined
  }
}

/** `[a][b]` is two keys; what is not made of brackets throughout is one. */
function claimPath(brackets: string): readonly string[] {
  const isNested = /^(\[[^[\]]*\])+$/.test(brackets)
  return isNested ? brackets.slice(1, -1).split('][') : [brackets.slice(1, -1)]
}

const ofOperation = ({ hosts, methods, paths, ports }: AuthorizationOperation): readonly Requirement<Permission>[] =>
  [
    { ...hosts, generator: generators.hosts },
    { ...methods, generator: generators.methods },
    { ...paths, generator: generators.paths },
    { ...ports, generator: generators.ports },
  ].filter(isGiven)

const ofSource = (source: AuthorizationSource, context: RuleContext): readonly Requirement<Principal>[] =>
  [
    { ...source.principals, generator: generators.sourcePrincipals },
    { ...source.requestPrincipals, generator: generators.requestPrincipals },
    { ...source.serviceAccounts, generator: generators.serviceAccounts(context.namespace) },
    { ...source.trustDomains, generator: generators.trustDomains },
    { ...source.namespaces, generator: generators.namespaces },
    { ...source.remoteIpBlocks, generator: generators.remoteIps },
    { ...source.ipBlocks, generator: generators.sourceIps },
  ]
    .filter(isGiven)
    .map(each => migrate(each, context))

const isGiven = ({ values, notValues }: WantedValues) => values.length + notValues.length > 0

function migrate(requirement: Requirement<Principal>, { trustDomains }: RuleContext): Requirement<Principal> {
  const { generator, values, notValues } = requirement
  const expand = (list: readonly string[]) => {
    if (generator === generators.sourcePrincipals) return trustDomains.expandPrincipals(list)
    return generator === generators.trustDomains ? trustDomains.expandTrustDomains(list) : list
  }
  return { generator, values: expand(values), notValues: expand(notValues) }
}

const anyPermission: Permission = { rule: { case: 'any', value: true } }
const anyPrincipal: Principal = { identifier: { case: 'any', value: true } }
const notPermission = (rule: Permission): Permission => ({ rule: { case: 'notRule', value: rule } })
const notPrincipal = (id: Principal): Principal => ({ identifier: { case: 'notId', value: id } })

function allPermissions(requirements: readonly Requirement<Permission>[]): Permission {
  const rules = requirements.flatMap(each => wanted(each, notPermission))
  return { rule: { case: 'andRules', value: { rules: rules.length === 0 ? [anyPermission] : rules } } }
}

function allPrincipals(requirements: readonly Requirement<Principal>[]): Principal {
  const ids = requirements.flatMap(each => wanted(each, notPrincipal))
  return {
    identifier: { case: 'andIds', value: { ids: ids.length === 0 ? [anyPrincipal] : ids } },
  }
}

function wanted<Rule>({ generator, values, notValues }: Requirement<Rule>, not: (rule: Rule) => Rule): Rule[] {
  return [
    ...(values.length > 0 ? [generator.anyOf(values)] : []),
    ...(notValues.length > 0 ? [not(generator.anyOf(notValues))] : []),
  ]
}
