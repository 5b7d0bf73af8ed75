import { isTrustDomain } from '../ca/spiffe-id.ts'
import type { SecureOptions } from '../discovery-service.ts'
import { parseDurationMs } from '../validate/duration.ts'
import { UsageError } from './exit-code.ts'
import { portOf } from './port.ts'

/** Below it nobody could renew in time. */
const shortestTtlMs = 10_000

/** The options of `serve` for certificates, as `parseArgs` wants them. `--trust-domain` turns them on. */
export const secureFlags = {
  'trust-domain': { type: 'string' },
  'secure-host': { type: 'string' },
  'secure-port': { type: 'string', default: '15012' },
  'bundle-port': { type: 'string', default: '15013' },
  'server-name': { type: 'string', multiple: true },
  'certificate-ttl': { type: 'string', default: '24h' },
  'ca-passphrase-file': { type: 'string' },
  'token-issuer': { type: 'string' },
  'token-audience': { type: 'string', default: 'inmesh' },
  'token-jwks': { type: 'string' },
  'token-jwks-ca': { type: 'string' },
} as const

/** What `parseArgs` made of {@link secureFlags}, and `--host`. */
export interface SecureFlagValues {
  readonly host: string
  readonly 'trust-domain'?: string | undefined
  readonly 'secure-host'?: string | undefined
  readonly 'secure-port': string
  readonly 'bundle-port': string
  readonly 'certificate-ttl': string
  readonly 'server-name'?: readonly string[] | undefined
  readonly 'token-issuer'?: string | undefined
  readonly 'token-audience': string
  readonly 'token-jwks'?: string | undefined
  readonly 'token-jwks-ca'?: string | undefined
}

/** `undefined` without `--trust-domain`. */
export function secureOptions(values: SecureFlagValues): SecureOptions | undefined {
  const trustDomain = values['trust-domain']
  if (trustDomain === undefined) return undefined
  if (!isTrustDomain(trustDomain)) throw new UsageError(`--trust-domain: ${trustDomain} is not a trust domain`)
  const issuer = values['token-issuer']
  const jwks = values['token-jwks']
  const jwksCaFile = values['token-jwks-ca']
  if ((issuer === undefined) !== (jwks === undefined)) throw new UsageError('--token-issuer and --token-jwks belong together')
  const serviceAccounts =
    issuer === undefined || jwks === undefined
      ? {}
      : {
          serviceAccounts: {
            issuer,
            jwks,
            audience: values['token-audience'],
            ...(jwksCaFile === undefined ? {} : { jwksCaFile }),
          },
        }
  const defaultTtlMs = parseDurationMs(values['certificate-ttl'])
  if (!(defaultTtlMs && defaultTtlMs >= shortestTtlMs))
    throw new UsageError(`--certificate-ttl: ${values['certificate-ttl']} is not a duration of at least 10s`)
  return {
    trustDomain,
    defaultTtlMs,
    host: values['secure-host'] ?? values.host,
    port: portOf('secure-port', values['secure-port']),
    bundlePort: portOf('bundle-port', values['bundle-port']),
    serverNames: values['server-name'] ?? [],
    ...serviceAccounts,
  }
}
