import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { BodyReplay, isReplayable } from '../../../src/client/http/body-replay.ts'

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function* produce(...chunks: (string | Uint8Array)[]) {
  yield* chunks
}

describe('BodyReplay', () => {
  const sources: readonly [string, () => unknown][] = [
    ['an async generator', () => produce('he', Buffer.from('llo'))],
    ['a Readable', () => Readable.from(['he', 'llo'])],
    ['a web stream', () => new Blob(['hello']).stream()],
    [
      'a generator',
      function* () {
        yield 'he'
        yield 'llo'
      },
    ],
  ]
  for (const [name, make] of sources) {
    it(`sends ${name} again`, async () => {
      const made = make()
      const body = new BodyReplay(typeof made === 'function' ? made() : made, 64)
      assert.equal(await read(body), 'hello')
      assert.ok(body.canReplay)
      assert.equal(await read(body), 'hello')
    })
  }

  it('sends all of it when the first attempt read only a part', async () => {
    const body = new BodyReplay(produce('a', 'b', 'c'), 64)
    const first = body[Symbol.asyncIterator]()
    assert.equal(String((await first.next()).value), String(Buffer.from('a')))
    await first.return?.()
    assert.equal(await read(body), 'abc')
  })

  it('hands the chunk that an abandoned attempt waits for to the next', async () => {
    let release = () => {}
    const gate = new Promise<void>(resolve => {
      release = resolve
    })
    async function* slow() {
      yield 'a'
      await gate
      yield 'b'
    }
    const body = new BodyReplay(slow(), 64)
    const first = body[Symbol.asyncIterator]()
    await first.next()
    const waiting = first.next()
    const second = read(body)
    release()
    assert.equal((await waiting).done, true)
    assert.equal(await second, 'ab')
  })

  it('cannot be sent again once more than the cap was read', async () => {
    const body = new BodyReplay(produce('12345', '67890'), 8)
    assert.equal(await read(body), '1234567890')
    assert.equal(body.canReplay, false)
  })

  it('loses nothing when the cap is passed while a later attempt is still behind', async () => {
    const body = new BodyReplay(produce('a', 'b', 'c', 'dddddddddd', 'e'), 5)
    const first = body[Symbol.asyncIterator]()
    for (let chunk = 0; chunk < 3; chunk++) await first.next()
    const reading = first.next()
    const second = body[Symbol.asyncIterator]()
    const got = [String((await second.next()).value)]
    await reading
    for (let next = await second.next(); next.done !== true; next = await second.next())
      got.push(Buffer.from(next.value).toString())
    assert.equal(got.map((chunk, index) => (index === 0 ? 'a' : chunk)).join(''), 'abcdddddddddde')
  })

  it('hands on the error of the source, and cannot be sent again', async () => {
    const failure = new Error('disk')
    async function* broken() {
      yield 'a'
      throw failure
    }
    const body = new BodyReplay(broken(), 64)
    await assert.rejects(read(body), failure)
    assert.equal(body.canReplay, false)
    await assert.rejects(read(body), failure)
  })

  it('lets go of the source when the exchange ends early', async () => {
    const stream = new Readable({ read() {} })
    const body = new BodyReplay(stream, 64)
    void body[Symbol.asyncIterator]().next()
    body.close()
    assert.ok(stream.destroyed)
    let returned = false
    const iterator = {
      next: () => Promise.resolve({ done: false, value: 'x' }),
      return: () => {
        returned = true
        return Promise.resolve({ done: true, value: '' })
      },
    }
    new BodyReplay({ [Symbol.asyncIterator]: () => iterator }, 64).close()
    assert.ok(returned)
  })

  it('gives every attempt the same bytes, wherever the earlier ones stopped', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 6 }), { maxLength: 8 }),
        fc.array(fc.nat(8), { maxLength: 4 }),
        async (chunks, stops) => {
          const body = new BodyReplay(produce(...chunks), 1000)
          for (const stop of stops) {
            const attempt = body[Symbol.asyncIterator]()
            for (let read = 0; read < stop; read++) await attempt.next()
            await attempt.return?.()
          }
          assert.equal(await read(body), chunks.join(''))
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('isReplayable', () => {
  for (const body of [
    null,
    undefined,
    'x',
    Buffer.from('x'),
    new Uint8Array(1),
    new ArrayBuffer(1),
    new Blob(['x']),
    new FormData(),
  ]) {
    it(`${Object.prototype.toString.call(body)} is`, () => assert.ok(isReplayable(body)))
  }
  for (const body of [Readable.from(['x']), produce('x'), new Blob(['x']).stream()]) {
    it(`${Object.prototype.toString.call(body)} is not`, () => assert.ok(!isReplayable(body)))
  }
})
