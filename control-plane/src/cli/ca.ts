import { parseArgs } from 'node:util'
import { askAdmin } from './admin-client.ts'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

/** `inmesh ca status|rotate|revoke`: shows the roots as JSON, replaces the root, or stops accepting a certificate. */
export async function ca(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { data: { type: 'string' }, serial: { type: 'string' } },
  })
  const { data, serial } = values
  const [command, ...more] = positionals
  if (command === undefined || more.length > 0) throw new UsageError('ca takes one of status, rotate and revoke')
  if (data === undefined) throw new UsageError('--data DIR is required: that of the running control plane')
  if (command === 'status') terminal.out(JSON.stringify(await askAdmin(data, 'GET', '/status'), null, 2))
  else if (command === 'rotate') terminal.out(JSON.stringify(await askAdmin(data, 'POST', '/root-rotations'), null, 2))
  else if (command === 'revoke') {
    if (serial === undefined) throw new UsageError('--serial HEX is required; the log of issued certificates has it')
    await askAdmin(data, 'POST', '/revocations', { serial })
  } else throw new UsageError(`ca takes one of status, rotate and revoke, not ${command}`)
  return exitCode.ok
}
