import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'

/**
 * The address others reach this process at: the given one (`INMESH_ADDRESS`), else the bound one, else, bound to all interfaces, the first
 * IPv4 address that is not internal, else `127.0.0.1`.
 */
export function workloadAddress(bound: AddressInfo, given: string | undefined): string {
  if (given !== undefined && given !== '') return given
  if (bound.address !== '::' && bound.address !== '0.0.0.0') return bound.address
  const reachable = Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  return reachable?.address ?? '127.0.0.1'
}
