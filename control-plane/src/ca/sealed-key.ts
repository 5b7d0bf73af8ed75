import { createPrivateKey } from 'node:crypto'
import type { Passphrase } from './passphrase.ts'

/** A key cannot be opened: its passphrase is missing or wrong. The message is for the operator. */
export class SealedKeyError extends Error {}

/** Whether a PEM is an encrypted PKCS#8 key. */
export function isSealed(pem: string): boolean {
  return pem.startsWith('-----BEGIN ENCRYPTED PRIVATE KEY-----')
}

/**
 * Encrypts a PKCS#8 PEM: PBES2 with AES-256-CBC and PBKDF2 of 2,048 rounds, which is what Node offers, and what `openssl pkey` opens
 * (RFC 8018, section 6.2).
 */
export function sealKey(pem: string, passphrase: Passphrase): string {
  const key = createPrivateKey(pem)
  return key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: passphrase.reveal() }).toString()
}

/**
 * The PKCS#8 PEM of a key, be it encrypted or not.
 *
 * @param name in errors
 * @throws {SealedKeyError} when it is encrypted and the passphrase is missing or another
 */
export function openKey(pem: string, passphrase: Passphrase | undefined, name: string): string {
  if (!isSealed(pem)) return pem
  if (passphrase === undefined)
    throw new SealedKeyError(
      `${name} is encrypted, and there is no passphrase: give --ca-passphrase-file or INMESH_CA_PASSPHRASE_FILE`,
    )
  try {
    const key = createPrivateKey({ key: pem, passphrase: passphrase.reveal() })
    return key.export({ type: 'pkcs8', format: 'pem' }).toString()
  } catch {
    // What OpenSSL says of it depends on the bytes that a wrong passphrase happens to give.
    throw new SealedKeyError(`${name} cannot be decrypted: the passphrase is another, or the file is damaged`)
  }
}
