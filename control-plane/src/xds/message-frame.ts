/** One uncompressed message with the header of gRPC over HTTP/2: a flag and the length. */
export function messageFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}
