/** One value of DER (X.690): its tag and what it holds. */
export interface DerValue {
  /** Class, form and number as one byte; numbers above 30 are not read. */
  readonly tag: number
  readonly bytes: Uint8Array
}

/**
 * Reads a run of DER values, strictly: definite lengths in their shortest form, and nothing left over.
 *
 * @throws Error when the bytes are anything else
 */
export function readDer(bytes: Uint8Array): readonly DerValue[] {
  const values: DerValue[] = []
  let at = 0
  const next = () => {
    const byte = bytes[at++]
    if (byte === undefined) throw new Error('DER is cut short')
    return byte
  }
  while (at < bytes.length) {
    const tag = next()
    if ((tag & 0x1f) === 0x1f) throw new Error('DER with a tag of several bytes')
    let length = next()
    if (length === 0x80) throw new Error('DER without a length')
    if (length > 0x80) {
      const count = length & 0x7f
      if (count > 3) throw new Error('DER that is too long')
      length = 0
      for (let index = 0; index < count; index++) length = (length << 8) | next()
      if (length < 0x80 || length < 2 ** (8 * (count - 1))) throw new Error('DER with a length that is not the shortest')
    }
    if (at + length > bytes.length) throw new Error('DER is cut short')
    values.push({ tag, bytes: bytes.subarray(at, at + length) })
    at += length
  }
  return values
}

/**
 * The values inside one value that has to be of this tag.
 *
 * @throws Error when it is not
 */
export function readSequence(value: DerValue | undefined, tag = 0x30): readonly DerValue[] {
  if (value?.tag !== tag) throw new Error(`DER with tag ${value?.tag.toString(16) ?? 'none'} in place of ${tag.toString(16)}`)
  return readDer(value.bytes)
}

/** An object identifier in dotted form. */
export function readOid({ tag, bytes }: DerValue): string {
  if (tag !== 0x06 || bytes.length === 0) throw new Error('DER without an object identifier')
  const parts: number[] = []
  let part = 0
  for (const byte of bytes) {
    part = part * 128 + (byte & 0x7f)
    if (byte > 0x7f) continue
    if (parts.length === 0) {
      const first = Math.min(2, Math.floor(part / 40))
      parts.push(first, part - 40 * first)
    } else parts.push(part)
    part = 0
  }
  return parts.join('.')
}
