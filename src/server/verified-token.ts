import type { JWTPayload } from 'jose'
import type { JwtProvider } from '../policies/jwt-provider.ts'
import type { RequestView } from './request-view.ts'

/** Tells later filters and the application what a verified token says. */
export function tellOfToken(request: RequestView, provider: JwtProvider, payload: JWTPayload): void {
  const { iss = '', sub = '', aud = [] } = payload
  const raw: Record<string, unknown> = { ...payload }
  for (const claim of ['scope', 'permission', ...provider.spaceDelimitedClaims]) {
    const value = Object.hasOwn(payload, claim) ? payload[claim] : undefined
    if (typeof value === 'string') raw[claim] = value.split(' ')
  }
  request.claims = { issuer: iss, subject: sub, audience: typeof aud === 'string' ? [aud] : aud, raw }
  if (provider.payloadHeader !== '')
    request.setHeader(provider.payloadHeader, Buffer.from(JSON.stringify(payload)).toString('base64url'))
  for (const { header, claim } of provider.claimHeaders) {
    const value = claimOf(payload, claim)
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    if (isPlain && /^[\x20-\x7e]+$/.test(String(value))) request.setHeader(header, String(value))
    else request.removeHeader(header)
  }
}

/** The claim of a name, or the one inside others to which their names lead with dots between (JwtClaimToHeader.claim_name). */
function claimOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name]
  let value: unknown = payload
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined
    value = Reflect.get(value, key)
  }
  return value
}
