import { channel } from 'node:diagnostics_channel'
import type { OnReadOpts, Socket } from 'node:net'

/** What one read of a socket brings at most; Node's own reads are as large. */
const slabBytes = 64 * 1024
/** From here on the memory that was read into is itself passed on; less is copied out of it. */
const largeReadBytes = slabBytes / 2
/** Slabs that wait for a socket: 2 MiB. */
const maxFreeSlabs = 32
/** Connections that read into a slab of their own: 4 MiB. */
const maxOwnedSlabs = 64

/** What every socket reads into that has no slab: what was read is copied before the next socket is read. */
let scratch: Buffer | null = null
const freeSlabs: Buffer[] = []
let ownedSlabs = 0
/** The slabs that were passed on, and how far each was filled. */
const filled = new WeakMap<ArrayBufferLike, number>()

const watchers = [channel('undici:request:headers'), channel('undici:request:bodyChunkReceived')]

/**
 * Reads a socket without memory of its own for every read: Node allocates 64 KiB each time, and for 64 MiB of it V8 marks the whole heap,
 * which costs a request with a large answer more than all else. A connection with large answers reads into slabs that
 * {@link giveBack} returns; all others share one.
 */
export class SocketReader {
  #socket: Socket | null = null
  #slab: Buffer | null = null
  /** Whether {@link #slab} is counted as one that a connection keeps. */
  #isCounted = false
  /** Whether the next read goes elsewhere than the last. */
  #isMoved = true

  /** For `net.connect`. */
  readonly onread: OnReadOpts = {
    // Anything but a buffer: the next read goes where the last one went.
    buffer: () => this.#next() as Uint8Array,
    callback: (size, buffer) => this.#take(size, buffer),
  }

  /** The connected socket, before its first byte. */
  attach(socket: Socket): void {
    this.#socket = socket
    socket.once('close', () => this.#release())
  }

  #next(): Buffer | null {
    // Until the connection stands, each address that is tried is a handle of its own.
    if (this.#socket !== null && !this.#isMoved) return null
    this.#isMoved = false
    scratch ??= Buffer.allocUnsafeSlow(slabBytes)
    return this.#slab ?? scratch
  }

  #take(size: number, buffer: Uint8Array): boolean {
    const socket = this.#socket
    if (socket === null) return true
    const slab = this.#slab
    if (size < largeReadBytes) {
      if (slab !== null) {
        this.#isMoved = true
        this.#release()
        if (freeSlabs.length < maxFreeSlabs) freeSlabs.push(slab)
      }
      return socket.push(copyOf(buffer, size))
    }
    this.#isMoved = true
    if (slab === null) {
      // The next read of this connection is likely as large.
      const copy = takeSlab()
      copy.set(buffer.length === size ? buffer : buffer.subarray(0, size))
      this.#own()
      return socket.push(passOn(copy, size))
    }
    this.#slab = takeSlab()
    return socket.push(passOn(slab, size))
  }

  #own(): void {
    if (ownedSlabs >= maxOwnedSlabs) return
    ownedSlabs++
    this.#isCounted = true
    this.#slab = takeSlab()
  }

  #release(): void {
    if (this.#isCounted) ownedSlabs--
    this.#isCounted = false
    this.#slab = null
  }
}

/**
 * Returns the memory of a whole answer whose `chunks` were copied, as far as it holds nothing else.
 *
 * @param head the buffer in which the head of the answer was the first thing, or `null`
 */
export function giveBack(chunks: readonly Buffer[], head: ArrayBufferLike | null): void {
  let buffer: ArrayBufferLike | null = null
  let isOurs = false
  let end = 0
  for (const chunk of chunks) {
    if (chunk.buffer !== buffer) {
      // What came into a later buffer was parsed after all of this one.
      if (buffer !== null && isOurs) free(buffer)
      buffer = chunk.buffer
      isOurs = chunk.byteOffset === 0 || buffer === head
    }
    end = chunk.byteOffset + chunk.byteLength
  }
  if (buffer !== null && isOurs && filled.get(buffer) === end) free(buffer)
}

/** Whether {@link giveBack} may be able to use `buffer` again. */
export function isSlab(buffer: ArrayBufferLike): boolean {
  return buffer.byteLength === slabBytes && filled.has(buffer)
}

function free(buffer: ArrayBufferLike): void {
  // Who watches undici may keep what it was shown.
  if (buffer.byteLength !== slabBytes || watchers.some(({ hasSubscribers }) => hasSubscribers)) return
  if (filled.delete(buffer) && freeSlabs.length < maxFreeSlabs) freeSlabs.push(Buffer.from(buffer))
}

function takeSlab(): Buffer {
  return freeSlabs.pop() ?? Buffer.allocUnsafeSlow(slabBytes)
}

function passOn(slab: Buffer, size: number): Buffer {
  filled.set(slab.buffer, size)
  return slab.subarray(0, size)
}

function copyOf(buffer: Uint8Array, size: number): Buffer {
  const copy = Buffer.allocUnsafe(size)
  copy.set(buffer.length === size ? buffer : buffer.subarray(0, size))
  return copy
}
