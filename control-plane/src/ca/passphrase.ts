import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'

/** Guessing is slowed down 2,048 times only (see `sealKey`), so that a passphrase must be long of itself. */
const minCharacters = 16

/** The passphrase is not there, or is none. The message is for the operator, and does not hold it. */
export class PassphraseError extends Error {}

/** What the keys of the authority are encrypted with. Never leaves through `String`, `JSON.stringify` or `util.inspect`. */
export class Passphrase {
  readonly #text: string

  /** @throws {PassphraseError} for fewer than 16 characters */
  constructor(text: string) {
    if ([...text].length < minCharacters) throw new PassphraseError(`the passphrase has fewer than ${minCharacters} characters`)
    this.#text = text
  }

  /**
   * Reads one from a file, without the end of its line.
   *
   * @throws {PassphraseError} when it cannot be read or is too short
   */
  static async read(path: string): Promise<Passphrase> {
    const text = await readFile(path, 'utf8').catch(error => {
      throw new PassphraseError(`the passphrase cannot be read: ${error.message}`, { cause: error })
    })
    try {
      return new Passphrase(text.replace(/\r?\n$/, ''))
    } catch (error) {
      throw new PassphraseError(`${path}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** The passphrase itself, for the cipher and nothing else. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return '[redacted]'
  }

  toJSON(): string {
    return '[redacted]'
  }

  [inspect.custom](): string {
    return 'Passphrase [redacted]'
  }
}
