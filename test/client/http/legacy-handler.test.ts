import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Dispatcher } from 'undici'
import { toDispatchHandler } from '../../../src/client/http/legacy-handler.ts'

function controller(rawHeaders?: Buffer[]) {
  const calls: unknown[] = []
  const stub: Dispatcher.DispatchController = {
    aborted: false,
    paused: false,
    reason: null,
    ...(rawHeaders === undefined ? undefined : { rawHeaders }),
    abort: reason => calls.push(['abort', reason]),
    pause: () => calls.push(['pause']),
    resume: () => calls.push(['resume']),
  }
  return { stub, calls }
}

describe('toDispatchHandler', () => {
  it('leaves a handler of today alone', () => {
    const handler = { onRequestStart() {} }
    assert.equal(toDispatchHandler(handler), handler)
  })

  it('drives an old handler, headers as raw buffers', () => {
    const seen: unknown[] = []
    const handler = toDispatchHandler({
      onConnect: () => seen.push('connect'),
      onHeaders: (status, raw, _resume, text) => {
        seen.push([status, raw.map(String), text])
        return true
      },
      onData: chunk => {
        seen.push(String(chunk))
        return true
      },
      onComplete: trailers => seen.push(['complete', trailers.map(String)]),
    })
    const { stub, calls } = controller([Buffer.from('X-A'), Buffer.from('1')])
    handler.onRequestStart?.(stub, null)
    handler.onResponseStart?.(stub, 200, { 'x-a': '1' }, 'OK')
    handler.onResponseData?.(stub, Buffer.from('body'))
    handler.onResponseEnd?.(stub, { t: ['1', '2'] })
    assert.deepEqual(seen, ['connect', [200, ['X-A', '1'], 'OK'], 'body', ['complete', ['t', '1', 't', '2']]])
    assert.deepEqual(calls, [])
  })

  it('pauses when the old handler returns false, resumes and aborts through what it was given', () => {
    let resume = () => {}
    let abort = (_reason?: Error) => {}
    const handler = toDispatchHandler({
      onConnect: given => {
        abort = given
      },
      onHeaders: (_status, _raw, given) => {
        resume = given
        return false
      },
      onData: () => false,
    })
    const { stub, calls } = controller([])
    handler.onRequestStart?.(stub, null)
    handler.onResponseStart?.(stub, 200, {}, 'OK')
    handler.onResponseData?.(stub, Buffer.from('x'))
    resume()
    const reason = new Error('stop')
    abort(reason)
    assert.deepEqual(calls, [['pause'], ['pause'], ['resume'], ['abort', reason]])
  })

  it('throws what an old handler without onError cannot be told', () => {
    const handler = toDispatchHandler({})
    assert.throws(() => handler.onResponseError?.(controller().stub, new Error('lost')), /lost/)
  })
})
