import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { type ControlPlaneOptions, startControlPlane } from '../control-plane.ts'
import { systemClock } from '../runtime.ts'
import { caPassphrase } from './ca-passphrase.ts'
import { type ExitCode, exitCode, UsageError } from './exit-code.ts'
import { portOf } from './port.ts'
import { secureFlags, secureOptions } from './secure-flags.ts'
import type { Terminal } from './terminal.ts'
import { textLogger } from './text-logger.ts'

/** `inmesh serve`: follows a folder and serves it until SIGTERM or SIGINT, then drains. */
export async function serve(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      data: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      'xds-port': { type: 'string', default: '15010' },
      'insecure-plaintext': { type: 'boolean', default: false },
      'load-report-interval': { type: 'string', default: '10' },
      ...secureFlags,
      verbose: { type: 'boolean', default: false },
    },
  })
  if (!values.config) throw new UsageError('--config DIR is required')
  const xdsPort = portOf('xds-port', values['xds-port'])
  const loadReporting = loadReportingOf(values['load-report-interval'])
  const secure = secureOptions(values)

  const logger = textLogger(terminal, systemClock, values.verbose)
  const passphrase =
    secure && (await caPassphrase({ file: values['ca-passphrase-file'], data: values.data, env: process.env, logger }))
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const controlPlane = await startControlPlane({
    config: values.config,
    ...(values.data === undefined ? {} : { data: values.data }),
    host: values.host,
    xdsPort,
    loadReporting,
    ...(secure ? { secure: passphrase === undefined ? secure : { ...secure, passphrase } } : {}),
    insecurePlaintext: values['insecure-plaintext'],
    runtime: { clock: systemClock, logger },
  })
  logger.info(`serving xDS on ${controlPlane.xdsAddress}`)
  if (controlPlane.secure) {
    const { address, bundleAddress, spiffeId } = controlPlane.secure
    logger.info(
      `serving xDS and certificates over TLS on ${address} as ${spiffeId}, the trust bundle on https://${bundleAddress}`,
    )
  }
  await stopped
  logger.info('draining')
  await controlPlane.close()
  return exitCode.ok
}

/** @param text seconds; 0: clients are not asked */
function loadReportingOf(text: string): NonNullable<ControlPlaneOptions['loadReporting']> {
  const seconds = Number(text)
  if (text.trim() === '' || !(seconds >= 0 && seconds <= 3600))
    throw new UsageError(`--load-report-interval: ${text} is not a number of seconds from 0 to 3600`)
  return seconds === 0 ? false : { intervalMs: seconds * 1000 }
}
