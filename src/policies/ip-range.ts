import { isIPv4, isIPv6 } from 'node:net'

/** A block of addresses (`envoy.config.core.v3.CidrRange`), compiled. */
export class IpRange {
  readonly prefixLength: number
  readonly #bytes: Uint8Array

  /**
   * @param prefixLength 0 to 32 or 128; bits of `address` beyond it do not count
   * @throws Error when `address` is no IP address
   */
  constructor(address: string, prefixLength: number) {
    const bytes = parseIp(address)
    if (bytes === null) throw new Error(`must be an IP address, got ${JSON.stringify(address)}`)
    this.#bytes = bytes
    this.prefixLength = Math.min(prefixLength, bytes.length * 8)
  }

  /** @param address as {@link parseIp} returns it; an address of the other family is in no range */
  has(address: Uint8Array): boolean {
    if (address.length !== this.#bytes.length) return false
    const whole = this.prefixLength >> 3
    for (let at = 0; at < whole; at++) if (address[at] !== this.#bytes[at]) return false
    const rest = this.prefixLength & 7
    if (rest === 0) return true
    return (((address[whole] ?? 0) ^ (this.#bytes[whole] ?? 0)) & (0xff << (8 - rest)) & 0xff) === 0
  }
}

const mappedPrefix = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i

/**
 * The bytes of an address: 4 of IPv4, also where it comes mapped into IPv6 as on sockets that take both (RFC 4291 section 2.5.5.2), else 16.
 *
 * @returns `null` for what is no IP address
 */
export function parseIp(address: string): Uint8Array | null {
  const text = address.replace(mappedPrefix, '')
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  if (!isIPv6(text) || text.includes('%')) return null
  return parseIpv6(text)
}

function parseIpv6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::')
  const left = groupsOf(head)
  const right = tail === undefined ? [] : groupsOf(tail)
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  for (const [at, group] of left.entries()) view.setUint16(2 * at, group)
  for (const [at, group] of right.entries()) view.setUint16(16 - 2 * (right.length - at), group)
  return bytes
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(part => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
