// Calls `http://upstream/` by the built-in fetch, through whatever the process was put into, and prints what came of it.
import assert from 'node:assert/strict'

const url = 'http://upstream/echo'
const ask = async init => (await fetch(url, init)).json()

assert.equal((await ask()).method, 'GET')
assert.equal((await ask({ method: 'POST', body: 'text' })).body, 'text')
assert.equal((await ask({ method: 'POST', body: new Uint8Array([104, 105]) })).body, 'hi')

const stream = new ReadableStream({
  start(controller) {
    controller.enqueue(new TextEncoder().encode('streamed'))
    controller.close()
  },
})
assert.equal((await ask({ method: 'PUT', body: stream, duplex: 'half' })).body, 'streamed')

const form = new FormData()
form.set('field', 'value')
assert.match((await ask({ method: 'POST', body: form })).body, /name="field"\r\n\r\nvalue/)

const zipped = await fetch('http://upstream/gzip')
assert.equal(await zipped.text(), 'unzipped')

// Twice 503, and then an answer: the whole body each time.
const retried = await fetch('http://upstream/flaky', { method: 'POST', body: 'again' })
assert.deepEqual(await retried.json(), { attempts: 3, bodies: ['again', 'again', 'again'] })

await assert.rejects(fetch('http://upstream/slow', { signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' })

const outside = await fetch(process.env.OUTSIDE)
assert.equal(outside.status, 200)

process.stdout.write(JSON.stringify({ node: process.version, undici: process.versions.undici }))
process.exit()
