import { readdirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'

/** A file that holds documents, and what changes when somebody writes it. */
export interface ListedFile {
  /** The path as the folder was named. */
  readonly path: string
  readonly fingerprint: string
}

/** Deepest folder looked into. */
const maxDepth = 16

/**
 * The YAML files in a folder and the folders below, in order of path. Names that begin with a dot are left out, so that a mounted
 * ConfigMap, whose files are links into `..data`, is seen once. Links are followed; a folder that contains itself is seen once.
 *
 * @throws when the folder cannot be read
 */
export function listFiles(folder: string): readonly ListedFile[] {
  const files: ListedFile[] = []
  walk(folder, (path, stat) => {
    if (stat.isFile() && /\.ya?ml$/.test(path))
      files.push({ path, fingerprint: `${path} ${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}` })
  })
  return files
}

/**
 * The folder and the folders below in which {@link listFiles} looks.
 *
 * @throws when the folder cannot be read
 */
export function listFolders(folder: string): readonly string[] {
  const folders = [folder]
  walk(folder, (path, stat) => {
    if (stat.isDirectory()) folders.push(path)
  })
  return folders
}

function walk(folder: string, see: (path: string, stat: Stats) => void): void {
  const visit = (path: string, ancestors: readonly string[]) => {
    const real = realpathSync(path)
    if (ancestors.includes(real) || ancestors.length > maxDepth) return
    for (const name of readdirSync(path).sort()) {
      if (name.startsWith('.')) continue
      const child = join(path, name)
      // A file may go away at any moment.
      const stat = statSync(child, { throwIfNoEntry: false })
      if (stat !== undefined) see(child, stat)
      if (stat?.isDirectory()) visit(child, [...ancestors, real])
    }
  }
  visit(folder, [])
}

/** One text that differs whenever a file was added, removed or written. */
export const folderFingerprint = (files: readonly ListedFile[]): string => files.map(({ fingerprint }) => fingerprint).join('\n')
