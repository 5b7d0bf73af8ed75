import type { Metadata } from '@grpc/grpc-js'
import type { ReadableHeaders } from '../finalize-request.ts'

/** gRPC metadata as headers. Binary ones (`-bin`) are not seen, as for a router (gRFC A28). */
export class MetadataHeaders implements ReadableHeaders {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  get(name: string): string | undefined {
    const value = readMetadata(this.#metadata, name)
    return typeof value === 'string' ? value : value?.[0]
  }

  has(name: string): boolean {
    return readMetadata(this.#metadata, name) !== undefined
  }

  remove(name: string): void {
    this.#metadata.remove(name)
  }

  set(name: string, value: string): void {
    if (!name.endsWith('-bin')) this.#metadata.set(name, value)
  }

  append(name: string, value: string): void {
    if (!name.endsWith('-bin')) this.#metadata.add(name, value)
  }
}

/** The value or values of a header in metadata; `undefined` when it is absent or binary. */
export function readMetadata(metadata: Metadata, name: string): string | readonly string[] | undefined {
  if (name.endsWith('-bin')) return undefined
  const values = metadata.get(name)
  if (values.length === 0) return undefined
  return values.length === 1 ? String(values[0]) : values.map(String)
}
