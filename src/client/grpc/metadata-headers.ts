import type { Metadata } from '@grpc/grpc-js'
import type { ReadableHeaders } from '../finalize-request.ts'

/** gRPC metadata as headers. Binary ones (`-bin`) are not seen, as for a router (gRFC A28). */
export class MetadataHeaders implements ReadableHeaders {
  readonly #metadata: Metadata

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  get(name: string): string | undefined {
    const values = readMetadata(this.#metadata, name)
    return values === undefined ? undefined : String(values[0])
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

/** A header in metadata; `undefined` when it is absent or binary. */
function readMetadata(metadata: Metadata, name: string): readonly unknown[] | undefined {
  if (name.endsWith('-bin')) return undefined
  const values = metadata.get(name)
  return values.length === 0 ? undefined : values
}

/** The values of a header in one, as gRPC's routers match and hash them (gRFC A28, A42). */
export function joinMetadata(metadata: Metadata, name: string): string | undefined {
  const values = readMetadata(metadata, name)
  if (values === undefined) return undefined
  // RFC 9113 section 8.2.3 has another way for this one.
  return values.length === 1 ? String(values[0]) : values.join(name === 'cookie' ? '; ' : ',')
}
