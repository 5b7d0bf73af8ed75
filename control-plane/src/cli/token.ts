import { parseArgs } from 'node:util'
import { parseDurationMs } from '../validate/duration.ts'
import { askAdmin } from './admin-client.ts'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

/** `inmesh token create`: prints a join token on standard output, and whose it is and until when on standard error. */
export async function token(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      identity: { type: 'string' },
      service: { type: 'string' },
      namespace: { type: 'string', default: 'default' },
      ttl: { type: 'string' },
    },
  })
  const { data, identity, service, namespace, ttl } = values
  if (positionals.join(' ') !== 'create') throw new UsageError('token has one command: create')
  if (data === undefined) throw new UsageError('--data DIR is required: that of the running control plane')
  if ((identity === undefined) === (service === undefined)) throw new UsageError('one of --identity and --service is required')
  const ttlMs = ttl === undefined ? undefined : parseDurationMs(ttl)
  if (ttl !== undefined && !(ttlMs && ttlMs > 0)) throw new UsageError(`--ttl: ${ttl} is not a duration such as 10m`)

  const subject = identity === undefined ? { service, namespace } : { identity }
  const made = await askAdmin(data, 'POST', '/tokens', { ...subject, ttlMs })
  if (!isToken(made)) throw new Error('the control plane answered with something else than a token')
  terminal.err(`for ${made.identity}, once, until ${new Date(made.expiresAtMs).toISOString()}`)
  terminal.out(made.token)
  return exitCode.ok
}

interface MadeToken {
  readonly token: string
  readonly identity: string
  readonly expiresAtMs: number
}

function isToken(value: unknown): value is MadeToken {
  return typeof value === 'object' && value !== null && 'token' in value && 'identity' in value && 'expiresAtMs' in value
}
