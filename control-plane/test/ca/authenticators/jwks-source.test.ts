import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { JwksSource } from '../../../src/ca/authenticators/jwks-source.ts'
import { readJwks } from '../../../src/ca/authenticators/read-jwks.ts'
import { silentLogger } from '../../../src/runtime.ts'
import { dayMs } from '../../support/certificates.ts'

function start() {
  const clock = new ManualClock()
  const answers = { text: '{"keys":[]}', reads: 0 }
  const source = new JwksSource({
    clock,
    logger: silentLogger,
    async read() {
      answers.reads += 1
      if (answers.text === '') throw new Error('ECONNREFUSED')
      return answers.text
    },
  })
  return { clock, answers, source }
}

test('E3: without keys at the start nothing is allowed, and they are asked for again after 30 s', async () => {
  const { source, answers, clock } = start()
  answers.text = ''
  await assert.rejects(source.current(), /not known/)
  answers.text = '{"keys":[]}'
  await assert.rejects(source.current(), /not known/)
  assert.equal(answers.reads, 1)
  clock.advance(30_000)
  await source.current()
})

test('E3: keys are read again after ten minutes; the last good ones are used meanwhile, for a day at most', async () => {
  const { source, answers, clock } = start()
  const first = await source.current()
  clock.advance(599_999)
  assert.equal(await source.current(), first)
  assert.equal(answers.reads, 1)
  clock.advance(1)
  for (const bad of ['', 'not JSON', '{}', '[]', 'null', JSON.stringify({ keys: Array(101).fill({}) })]) {
    answers.text = bad
    assert.equal(await source.current(), first)
    clock.advance(30_000)
  }
  assert.equal(answers.reads, 7)
  clock.advance(dayMs - 600_000 - 6 * 30_000)
  await assert.rejects(source.current(), /not known/)
})

test('many callers at once cause one read', async () => {
  const { source, answers } = start()
  await Promise.all([source.current(), source.current(), source.refreshed()])
  assert.equal(answers.reads, 1)
})

test('E3: a document is read from a file or a server, one MiB at most, without redirects, and in plaintext from loopback only', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-jwks-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'jwks.json')
  await writeFile(file, '{"keys":[]}')
  assert.equal(await readJwks({ location: file }), '{"keys":[]}')
  await writeFile(file, ' '.repeat(1024 * 1024 + 1))
  await assert.rejects(readJwks({ location: file }), /exceeds/)

  const server = createServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/keys' }).end()
    else if (request.url === '/large') response.end(' '.repeat(1024 * 1024 + 1))
    else response.end('{"keys":[]}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  assert.equal(await readJwks({ location: `${origin}/keys` }), '{"keys":[]}')
  await assert.rejects(readJwks({ location: `${origin}/moved` }), /302/)
  await assert.rejects(readJwks({ location: `${origin}/large` }), /exceeds/)
  await assert.rejects(readJwks({ location: 'http://192.0.2.1/keys' }), /HTTPS/)
})
