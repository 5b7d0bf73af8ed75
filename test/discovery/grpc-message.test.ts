import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { frameMessage, MessageReader } from '../../src/discovery/grpc-message.ts'

suite('gRPC messages in a stream of bytes', () => {
  test('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.array(fc.integer({ min: 1, max: 17 })), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(frameMessage))
        const reader = new MessageReader(1000)
        const read: Uint8Array[] = []
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const length = cuts[cut] ?? bytes.length
          for (const message of reader.read(bytes.subarray(at, at + length))) read.push(message)
          at += length
        }
        assert.deepEqual(
          read.map(message => [...message]),
          messages.map(message => [...message]),
        )
        assert.equal(reader.isBetweenMessages, true)
      }),
    )
  })

  test('an unfinished one is noticed', () => {
    const reader = new MessageReader(1000)
    assert.deepEqual([...reader.read(frameMessage(Buffer.from('abc')).subarray(0, 6))], [])
    assert.equal(reader.isBetweenMessages, false)
  })

  test('a message that is too large or compressed is an error', () => {
    const reader = new MessageReader(2)
    assert.throws(() => [...reader.read(frameMessage(Buffer.from('abc')))], /a message of 3 bytes, more than 2/)
    const compressed = frameMessage(Buffer.from('a'))
    compressed[0] = 1
    assert.throws(() => [...new MessageReader(2).read(compressed)], /compressed/)
  })
})
