import { pipeline, Transform, type TransformCallback } from 'node:stream'
import zlib from 'node:zlib'

/** Content codings a response may stack; more are taken for an attack. */
export const maxContentCodings = 5

/** Where decoded bytes go, and what their flow depends on. */
export interface DecodedSink {
  push(chunk: Buffer): void
  end(): void
  fail(error: Error): void
  /** The decoder holds enough: no more `write` until it has `drained`. */
  full(): void
  drained(): void
}

/** Undoes the content codings of one body (RFC 9110, 8.4), as lenient with broken ends as browsers and curl are. */
export class Decompressor {
  readonly #first: Transform
  readonly #last: Transform
  readonly #sink: DecodedSink
  #isEmpty = true
  #isOver = false

  /** @param codings in the order in which the sender applied them */
  constructor(codings: readonly Coding[], sink: DecodedSink) {
    const stages = codings.toReversed().map(coding => createStage(coding))
    this.#first = stages[0] ?? createStage('gzip')
    this.#last = stages.at(-1) ?? this.#first
    this.#sink = sink
    this.#last.on('data', (chunk: Buffer) => this.#sink.push(chunk))
    const done = (error?: Error | null) => this.#done(error ?? null)
    if (stages.length > 1) pipeline(stages, done)
    else this.#last.on('error', done)
    this.#last.on('end', () => done())
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return
    this.#isEmpty = false
    if (this.#first.write(chunk)) return
    this.#sink.full()
    this.#first.once('drain', () => this.#sink.drained())
  }

  end(): void {
    if (this.#isEmpty) this.#done(null)
    else this.#first.end()
  }

  /** Stops and restarts the decoded bytes. */
  pause(): void {
    this.#last.pause()
  }

  resume(): void {
    this.#last.resume()
  }

  destroy(): void {
    this.#isOver = true
    this.#first.destroy()
    this.#last.destroy()
  }

  #done(error: Error | null): void {
    if (this.#isOver) return
    this.#isOver = true
    if (error === null) this.#sink.end()
    else this.#sink.fail(error)
  }
}

/** A coding that can be undone. */
export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

const none: readonly Coding[] = []

/** The codings of a `Content-Encoding`; none when one of them is unknown, as the body then stays as it is. */
export function codingsOf(contentEncoding: string | null): readonly Coding[] {
  if (contentEncoding === null) return none
  const codings: Coding[] = []
  const names = contentEncoding.toLowerCase().split(',')
  for (const name of names) {
    const coding = known.get(name.trim())
    // Too many are refused even where they make no sense.
    if (coding !== undefined || names.length > maxContentCodings) codings.push(coding ?? 'gzip')
    else return none
  }
  return codings
}

const known = new Map<string, Coding>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
  ['zstd', 'zstd'],
])

const { constants } = zlib
const lenient = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }

function createStage(coding: Coding): Transform {
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip(lenient)
    case 'deflate':
      return new Deflated()
    case 'br':
      return zlib.createBrotliDecompress({
        flush: constants.BROTLI_OPERATION_FLUSH,
        finishFlush: constants.BROTLI_OPERATION_FLUSH,
      })
    case 'zstd':
      return zlib.createZstdDecompress({
        flush: constants.ZSTD_e_continue,
        finishFlush: constants.ZSTD_e_end,
        // The widest window that RFC 9659 lets a sender of `zstd` use: 8 MiB.
        params: { [constants.ZSTD_d_windowLogMax]: 23 },
      })
  }
}

/** `deflate` means zlib's format, but many senders leave its two header bytes out: the first byte tells. */
class Deflated extends Transform {
  #inflate: Transform | null = null

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#inflate === null) {
      const first = chunk[0]
      if (first === undefined) {
        done()
        return
      }
      this.#inflate = (first & 0x0f) === 8 ? zlib.createInflate(lenient) : zlib.createInflateRaw(lenient)
      const inflate = this.#inflate
      inflate.on('error', error => this.destroy(error))
      inflate.on('data', part => {
        if (!this.push(part)) inflate.pause()
      })
    }
    this.#inflate.write(chunk, encoding, done)
  }

  override _read(size: number): void {
    this.#inflate?.resume()
    super._read(size)
  }

  override _flush(done: TransformCallback): void {
    if (this.#inflate === null) done()
    else this.#inflate.on('end', () => done()).end()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inflate?.destroy()
    done(error)
  }
}
