import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A file with secrets that others than its owner could read or write. */
export class LooseFileModeError extends Error {}

/** Makes a folder that only its owner can use, or checks that it is one. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await requirePrivate(path)
}

/**
 * Checks that nobody but the owner has access. POSIX only: Windows has no such modes.
 *
 * @throws {LooseFileModeError} otherwise, and for symbolic links and files of other users
 */
export async function requirePrivate(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const { mode, uid } = await lstat(path).then(stats => {
    if (stats.isSymbolicLink()) throw new LooseFileModeError(`${path} is a symbolic link, which is not accepted for secrets`)
    return stats
  })
  const others = mode & 0o077
  if (others !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0')
    throw new LooseFileModeError(`${path} has mode ${shown}: only its owner may have access (chmod go-rwx)`)
  }
  if (uid !== process.getuid?.()) throw new LooseFileModeError(`${path} belongs to another user`)
}

/** Writes a file with mode 0600 whole or not at all, and flushes it to the disk. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Without this a rename may be lost with the power. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
