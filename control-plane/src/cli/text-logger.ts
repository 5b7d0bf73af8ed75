import type { Clock, Logger } from '../runtime.ts'
import type { Terminal } from './terminal.ts'

/** `time severity message key=value …`, one line each, on standard error. Debug lines only when `verbose`. */
export function textLogger(terminal: Terminal, clock: Clock, verbose = false): Logger {
  const write =
    (severity: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      const time = new Date(clock.wallNow()).toISOString()
      const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
      // A client chose some of these texts: a line break must not fake a line.
      terminal.err(`${time} ${severity} ${message}${rest.join('')}`.replace(/[\r\n]+/g, ' '))
    }
  return { debug: verbose ? write('debug') : () => {}, info: write('info'), warn: write('warn'), error: write('error') }
}
