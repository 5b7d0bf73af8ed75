import type { Any } from '@bufbuild/protobuf/wkt'
import type { JwtAuthnFilter, JwtProvider } from '../../policies/jwt-provider.ts'
import type { Problems } from './problems.ts'
import { type Fields, numberOf, readFields, textOf, textsOf } from './raw-fields.ts'

/** No package has generated types for it. */
export const jwtAuthnType = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication'

/**
 * Decodes `JwtAuthentication` by its field numbers: providers, and one rule for every path that asks for any of them and either allows that
 * there is no token (`allow_missing`) or does not. What would be lost by leaving it out is an error.
 */
export function decodeJwtAuthn({ value }: Any, problems: Problems): JwtAuthnFilter | undefined {
  const before = problems.found.length
  try {
    const fields = readFields(value, { 1: 'providers', 2: 'rules', 4: 'bypass_cors_preflight' }, problems)
    const providers = (fields.get(1) ?? []).map(entry => decodeEntry(entry, problems))
    const rules = (fields.get(2) ?? []).map((rule, index) => decodeRule(rule, problems.at('rules', index)))
    if (rules.length !== 1) problems.addAt('rules', 'must be one, for every path')
    const filter = { providers, isRequired: rules[0] ?? true, bypassesCorsPreflight: numberOf(fields, 4) === 1 }
    return problems.found.length === before ? filter : undefined
  } catch (error) {
    problems.add(`cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

function decodeEntry(bytes: Uint8Array, problems: Problems): JwtProvider {
  const fields = readFields(bytes, { 1: 'key', 2: 'value' }, problems)
  const name = textOf(fields, 1)
  return decodeProvider(name, fields.get(2)?.[0] ?? new Uint8Array(), problems.at(`providers["${name}"]`))
}

const providerFields = {
  1: 'issuer',
  2: 'audiences',
  3: 'remote_jwks',
  4: 'local_jwks',
  5: 'forward',
  6: 'from_headers',
  7: 'from_params',
  8: 'forward_payload_header',
  9: 'payload_in_metadata',
  10: 'clock_skew_seconds',
  13: 'from_cookies',
  15: 'claim_to_headers',
  18: 'normalize_payload_in_metadata',
}

function decodeProvider(name: string, bytes: Uint8Array, problems: Problems): JwtProvider {
  const fields = readFields(bytes, providerFields, problems)
  const pairs = (field: number) =>
    (fields.get(field) ?? []).map(each => {
      const pair = readFields(each, { 1: 'name', 2: 'value' }, problems)
      return [textOf(pair, 1), textOf(pair, 2)] as const
    })
  const normalize = fields.get(18)?.[0]
  const spaced = normalize === undefined ? undefined : readFields(normalize, { 1: 'space_delimited_claims' }, problems)
  return {
    name,
    issuer: textOf(fields, 1),
    audiences: textsOf(fields, 2),
    keys: decodeKeys(fields, problems),
    fromHeaders: pairs(6).map(([header, prefix]) => ({ name: header.toLowerCase(), prefix })),
    fromParams: textsOf(fields, 7),
    fromCookies: textsOf(fields, 13),
    forward: numberOf(fields, 5) === 1,
    payloadHeader: textOf(fields, 8).toLowerCase(),
    claimHeaders: pairs(15).map(([header, claim]) => ({ header: header.toLowerCase(), claim })),
    spaceDelimitedClaims: spaced === undefined ? [] : textsOf(spaced, 1),
    clockSkewMs: 1000 * (numberOf(fields, 10) || 60),
  }
}

function decodeKeys(fields: Fields, problems: Problems): JwtProvider['keys'] {
  const remote = fields.get(3)?.[0]
  if (remote !== undefined) {
    const [http = new Uint8Array()] = readFields(remote, { 1: 'http_uri', 2: 'cache_duration' }, problems).get(1) ?? []
    const uri = readFields(http, { 1: 'uri', 2: 'cluster', 3: 'timeout' }, problems)
    const [timeout] = uri.get(3) ?? []
    return { kind: 'remote', uri: textOf(uri, 1), timeoutMs: timeout === undefined ? 5000 : durationOf(timeout, problems) }
  }
  const [local] = fields.get(4) ?? []
  if (local === undefined) problems.addAt('jwks_source_specifier', 'is required')
  const source = local === undefined ? new Map() : readFields(local, { 2: 'inline_bytes', 3: 'inline_string' }, problems)
  return { kind: 'local', jwks: textOf(source, 3) || textOf(source, 2) }
}

/** `google.protobuf.Duration` in milliseconds, one at least. */
function durationOf(bytes: Uint8Array, problems: Problems): number {
  const fields = readFields(bytes, { 1: 'seconds', 2: 'nanos' }, problems)
  return Math.max(1, numberOf(fields, 1) * 1000 + Math.ceil(numberOf(fields, 2) / 1_000_000))
}

/** Whether a token is required. */
function decodeRule(bytes: Uint8Array, problems: Problems): boolean {
  const fields = readFields(bytes, { 1: 'match', 2: 'requires' }, problems)
  const [match = new Uint8Array()] = fields.get(1) ?? []
  if (textOf(readFields(match, { 1: 'prefix' }, problems), 1) !== '/') problems.addAt('match', 'must be the prefix /')
  const [requires] = fields.get(2) ?? []
  if (requires === undefined) return false
  // requires_any: a list of requirements; of which each is a provider's name, or that there may be none.
  const any = readFields(requires, { 1: 'provider_name', 3: 'requires_any', 6: 'allow_missing' }, problems)
  if (any.has(6)) return false
  const [list] = any.get(3) ?? []
  if (list === undefined) return true
  const requirements = readFields(list, { 1: 'requirements' }, problems).get(1) ?? []
  return !requirements.some(each => readFields(each, { 1: 'provider_name', 6: 'allow_missing' }, problems).has(6))
}
