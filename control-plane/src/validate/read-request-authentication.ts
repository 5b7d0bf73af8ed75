import type { ObjectMeta } from '../model/object-meta.ts'
import type { JwtRule, RequestAuthentication } from '../model/request-authentication.ts'
import { readDurationMs } from './duration.ts'
import { isHeaderName } from './names.ts'
import { readSelector, refuseTargets } from './read-selector.ts'
import { readTexts } from './read-texts.ts'
import type { Value } from './value.ts'

const defaultTimeoutMs = 5000

/** Reads the spec of a RequestAuthentication. */
export function readRequestAuthentication(meta: ObjectMeta, spec: Value): RequestAuthentication {
  const fields = spec.fields('selector', 'targetRef', 'targetRefs', 'jwtRules')
  refuseTargets(fields.targetRef, fields.targetRefs)
  return {
    meta,
    selector: readSelector(fields.selector),
    jwtRules: fields.jwtRules.items().map(item => readJwtRule(item.required())),
  }
}

function readJwtRule(rule: Value): JwtRule {
  const fields = rule.fields(
    'issuer',
    'audiences',
    'jwksUri',
    'jwks',
    'fromHeaders',
    'fromParams',
    'fromCookies',
    'outputPayloadToHeader',
    'outputClaimToHeaders',
    'forwardOriginalToken',
    'spaceDelimitedClaims',
    'timeout',
  )
  const issuer = fields.issuer.asString() ?? ''
  const jwksUri = readJwksUri(fields.jwksUri)
  if (issuer === '' && fields.jwksUri.isAbsent) rule.error('must have issuer or jwksUri')
  return {
    issuer,
    audiences: readTexts(fields.audiences),
    jwksUri,
    jwks: readJwks(fields.jwks),
    fromHeaders: fields.fromHeaders.items().map(item => {
      const { name, prefix } = item.required().fields('name', 'prefix')
      return { name: readHeaderName(name), prefix: prefix.asString() ?? '' }
    }),
    fromParams: readTexts(fields.fromParams),
    fromCookies: readTexts(fields.fromCookies),
    outputPayloadToHeader:
      (fields.outputPayloadToHeader.asString() ?? '') === '' ? '' : readHeaderName(fields.outputPayloadToHeader),
    outputClaimToHeaders: fields.outputClaimToHeaders.items().map(item => {
      const { header, claim } = item.required().fields('header', 'claim')
      const name = claim.required().asString() ?? ''
      if (name === '' && !claim.isAbsent) claim.error('must not be empty')
      const own = readHeaderName(header)
      // Narrower than HTTP, as Istio has it.
      if (/[^-\w]/.test(own)) header.error(`must be of letters, digits, - and _, got ${JSON.stringify(own)}`)
      return { header: own, claim: name }
    }),
    forwardOriginalToken: fields.forwardOriginalToken.asBoolean() ?? false,
    spaceDelimitedClaims: readTexts(fields.spaceDelimitedClaims),
    timeoutMs: readDurationMs(fields.timeout) ?? defaultTimeoutMs,
  }
}

function readHeaderName(value: Value): string {
  const name = value.required().asString() ?? ''
  if (!value.isAbsent && !isHeaderName(name)) value.error(`is not a header name: ${JSON.stringify(name)}`)
  return name.toLowerCase()
}

function readJwksUri(value: Value): string {
  const text = value.asString() ?? ''
  if (!value.isAbsent && !/^https?:$/.test(URL.parse(text)?.protocol ?? ''))
    value.error(`must be an http or https URL, got ${JSON.stringify(text)}`)
  return text
}

/** A key set, or one key that makes one. Warns of keys that should not be in anybody's configuration. */
function readJwks(value: Value): string {
  const text = value.asString() ?? ''
  if (text === '') return ''
  const keys = keysOf(text)
  if (keys === undefined) {
    value.error('is not a JSON Web Key Set')
    return ''
  }
  if (keys.some(key => 'd' in key || key.kty === 'oct')) value.warn('has a private key: public ones are enough')
  return JSON.stringify({ keys })
}

function keysOf(text: string): readonly Readonly<Record<string, unknown>>[] | undefined {
  try {
    const set: unknown = JSON.parse(text)
    if (!isRecord(set)) return undefined
    const keys = 'keys' in set ? set.keys : [set]
    return Array.isArray(keys) && keys.every(key => isRecord(key) && typeof key.kty === 'string') ? keys : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
