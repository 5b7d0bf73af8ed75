import type { Clock } from '../runtime.ts'
import { type AdminMethods, BadAdminRequestError } from './admin-server.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import type { JoinTokens } from './join-tokens.ts'
import { serviceIdentity } from './spiffe-id.ts'

/** What the methods of the admin socket act on. */
export interface AdminMethodsOptions {
  readonly authority: CertificateAuthority
  readonly tokens: JoinTokens
  readonly clock: Clock
  /** The control plane's own identity, for which there are no tokens. */
  readonly ownIdentity: string
  /** Takes the steps of a rotation that are due. */
  advance(): Promise<void>
}

/** The methods of the admin socket: tokens, rotation, revocation and where things stand. */
export function adminMethods({ authority, tokens, clock, ownIdentity, advance }: AdminMethodsOptions): AdminMethods {
  const { trustDomain } = authority
  return new Map<string, (body: unknown) => Promise<unknown>>([
    [
      'POST /tokens',
      async body => {
        const { identity, service, namespace = 'default', ttlMs } = fieldsOf(body)
        const spiffeId = textOf(identity) ?? serviceIdentity(trustDomain, textOf(namespace) ?? '', textOf(service) ?? '')
        if (spiffeId === undefined) throw new BadAdminRequestError('the service or its namespace is not a name')
        if (spiffeId === ownIdentity) throw new BadAdminRequestError(`${spiffeId} is the control plane's own`)
        if (ttlMs !== undefined && typeof ttlMs !== 'number') throw new BadAdminRequestError('ttlMs is not a number')
        const beganMs = clock.wallNow()
        const token = await tokens.create(spiffeId, authority.pin, ttlMs)
        return { token: token.bearer, identity: spiffeId, expiresAtMs: beganMs + (ttlMs ?? tokens.defaultTtlMs) }
      },
    ],
    [
      'POST /root-rotations',
      async () => {
        authority.requestRotation()
        await advance()
        return statusOf(authority, tokens)
      },
    ],
    [
      'POST /revocations',
      async body => {
        const serial = textOf(fieldsOf(body).serial)?.replaceAll(':', '')
        if (!serial || !/^[0-9a-f]{1,40}$/i.test(serial)) throw new BadAdminRequestError('the serial is not hexadecimal')
        await authority.revoke(serial)
        return {}
      },
    ],
    ['GET /status', async () => statusOf(authority, tokens)],
  ])
}

function statusOf(authority: CertificateAuthority, tokens: JoinTokens): unknown {
  const { signing, next, retired } = authority.rotation
  const root = (role: string, { pin, notAfterMs }: typeof signing) => ({
    role,
    pin,
    notAfter: new Date(notAfterMs).toISOString(),
  })
  return {
    trustDomain: authority.trustDomain,
    bundleVersion: authority.bundle.version,
    roots: [root('signing', signing), ...(next ? [root('next', next)] : []), ...retired.map(old => root('retired', old))],
    unusedTokens: tokens.size,
  }
}

function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new BadAdminRequestError('the body is not an object')
  return Object.fromEntries(Object.entries(body))
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
