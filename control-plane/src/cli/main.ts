import { BadConfigurationError } from '../file-configuration.ts'
import { formatProblem } from '../sources/problem.ts'
import { ca } from './ca.ts'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'
import { serve } from './serve.ts'
import { processTerminal, type Terminal } from './terminal.ts'
import { token } from './token.ts'
import { validate } from './validate.ts'

const usage = `usage: inmesh serve --config DIR [--data DIR] [--host 127.0.0.1] [--xds-port 15010] [--insecure-plaintext] [--load-report-interval 10] [--verbose]
              [--trust-domain TD [--secure-host HOST] [--secure-port 15012] [--bundle-port 15013] [--server-name NAME]... [--certificate-ttl 24h]
               [--ca-passphrase-file FILE]
               [--token-issuer URL --token-jwks URL|FILE [--token-audience inmesh] [--token-jwks-ca FILE]]]
       inmesh validate DIR [-o text|json]
       inmesh token create --data DIR (--service NAME [--namespace default] | --identity spiffe://...) [--ttl 10m]
       inmesh ca status|rotate --data DIR
       inmesh ca revoke --data DIR --serial HEX`

const commands: ReadonlyMap<string, (args: readonly string[], terminal: Terminal) => Promise<ExitCode>> = new Map([
  ['serve', serve],
  ['validate', validate],
  ['token', token],
  ['ca', ca],
])

/** Runs one command line and gives its exit code. `serve` ends at SIGTERM or SIGINT. */
export async function main(argv: readonly string[], terminal: Terminal = processTerminal): Promise<ExitCode> {
  const [name = '', ...args] = argv
  if (name === '--help' || name === '-h' || name === 'help') {
    terminal.out(usage)
    return exitCode.ok
  }
  try {
    const command = commands.get(name)
    if (!command) throw new UsageError(name ? `no command ${JSON.stringify(name)}` : 'no command given')
    return await command(args, terminal)
  } catch (error) {
    if (error instanceof BadConfigurationError) {
      for (const problem of error.problems) terminal.err(formatProblem(problem))
      return exitCode.badData
    }
    const isUsage = error instanceof UsageError || isParseArgsError(error)
    terminal.err(`inmesh: ${error instanceof Error ? error.message : String(error)}`)
    if (isUsage) terminal.err(usage)
    return isUsage ? exitCode.usage : exitCode.failed
  }
}

function isParseArgsError(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}
