import { realpath, stat } from 'node:fs/promises'
import { sep } from 'node:path'
import { Passphrase, PassphraseError } from '../ca/passphrase.ts'
import type { Logger } from '../runtime.ts'
import { UsageError } from './exit-code.ts'

/** Where {@link caPassphrase} looks. */
export interface CaPassphraseOptions {
  /** `--ca-passphrase-file`. Default: `INMESH_CA_PASSPHRASE_FILE`. */
  readonly file: string | undefined
  /** `--data`. */
  readonly data: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logger: Logger
}

/**
 * What the keys of the authority are encrypted with; `undefined` when nobody gave a file for it.
 *
 * @throws {PassphraseError} when it cannot be read, is too short, or lies where the keys do
 */
export async function caPassphrase({ file, data, env, logger }: CaPassphraseOptions): Promise<Passphrase | undefined> {
  const path = file ?? env.INMESH_CA_PASSPHRASE_FILE
  if (path === undefined || path === '') return undefined
  if (data === undefined) throw new UsageError('a passphrase is for the keys in --data DIR, which is not given')
  const passphrase = await Passphrase.read(path)
  const real = await realpath(path)
  const folder = await realpath(data).catch(() => data)
  if (real.startsWith(folder + sep))
    throw new PassphraseError(`${path} lies in ${data}, beside the keys: whoever copies the folder has both`)
  if (((await stat(real)).mode & 0o077) !== 0 && process.platform !== 'win32')
    logger.warn(`${path} can be read by others than its owner`)
  return passphrase
}
