import { isIP } from 'node:net'
import type { CidrRange as CidrRangeMessage } from '../gen/envoy/config/core/v3/address_pb.ts'
import type { Problems } from './problems.ts'

/** Decodes `envoy.config.core.v3.CidrRange`. Without `prefix_len` it is 0: every address of the family. */
export function decodeCidrRange(
  { addressPrefix, prefixLen = 0 }: CidrRangeMessage,
  problems: Problems,
): { readonly address: string; readonly prefixLength: number } {
  const family = isIP(addressPrefix)
  if (family === 0) problems.addAt('address_prefix', `must be an IP address, got ${JSON.stringify(addressPrefix)}`)
  const longest = family === 6 ? 128 : 32
  if (prefixLen > longest) problems.addAt('prefix_len', `must be <= ${longest}, got ${prefixLen}`)
  return { address: addressPrefix, prefixLength: prefixLen }
}
