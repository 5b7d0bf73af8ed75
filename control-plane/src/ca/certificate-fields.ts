import { randomBytes } from 'node:crypto'

/** How far certificates are back-dated for clocks that run behind: 2 min, as Istio. */
export const clockSkewMs = 120_000

/** A positive serial with 126 random bits, hexadecimal (CA/Browser Forum BR 7.1 asks for 64). */
export function randomSerial(): string {
  const bytes = randomBytes(16)
  // Positive, and with no leading zero byte that an encoder would drop.
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0)
  return bytes.toString('hex')
}
