import type { XXHashAPI } from 'xxhash-wasm'

let api: XXHashAPI | null = null
let loading: Promise<void> | null = null

/** Loads the hash function, once; some milliseconds. To be awaited before the first {@link hash64}. */
export function loadHash64(): Promise<void> {
  loading ??= load()
  return loading
}

async function load(): Promise<void> {
  const { default: createXxHash } = await import('xxhash-wasm')
  api = await createXxHash()
}

/** Whether {@link hash64} can be used. */
export function isHash64Loaded(): boolean {
  return api !== null
}

/**
 * XXH64 of the UTF-8 form of a text, as Envoy and gRPC hash.
 *
 * @param seed default 0
 * @throws Error before {@link loadHash64} has resolved
 */
export function hash64(text: string, seed?: bigint): bigint {
  if (api === null) throw new Error('hash64 is used before loadHash64 has resolved')
  return api.h64(text, seed)
}

/** A uniform 64-bit number from two draws in `[0, 1)`. */
export function randomHash(high: number, low: number): bigint {
  return (BigInt(Math.floor(high * 2 ** 32)) << 32n) | BigInt(Math.floor(low * 2 ** 32))
}
