import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { JwtTokenFile } from '../../src/discovery/jwt-token-file.ts'
import { ManualClock } from '../support/manual-clock.ts'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (claims: unknown) => `${part({ alg: 'none' })}.${part(claims)}.c2ln`

/** A file that the test writes, and how often it was read. */
function setUp(text: string | Error) {
  const clock = new ManualClock()
  const file = { text, reads: 0, clock }
  const read = async () => {
    file.reads++
    if (file.text instanceof Error) throw file.text
    return file.text
  }
  const token = new JwtTokenFile('/token', clock, () => 0.5, read)
  return { file, token, clock, inSeconds: (seconds: number) => clock.wallNow() / 1000 + seconds }
}

const status = async (token: JwtTokenFile) => {
  const found = await token.authorize()
  assert.ok(!found.ok)
  return found.status
}

describe('JwtTokenFile (A97)', () => {
  it('shows the token as a bearer, and keeps it until 30 s before it expires', async () => {
    const { file, token, clock, inSeconds } = setUp('')
    const one = jwt({ exp: inSeconds(3600) })
    file.text = `\n${one}  \n`
    assert.deepEqual(await token.authorize(), { ok: true, authorization: `Bearer ${one}` })
    clock.advance((3600 - 91) * 1000)
    await token.authorize()
    assert.equal(file.reads, 1)
    clock.advance(61_000)
    const two = jwt({ exp: inSeconds(3600) })
    file.text = two
    assert.deepEqual(await token.authorize(), { ok: true, authorization: `Bearer ${two}` })
    assert.equal(file.reads, 2)
  })

  it('reads the file again in the last minute, and calls do not wait for that', async () => {
    const { file, token, clock, inSeconds } = setUp('')
    const one = jwt({ exp: inSeconds(120) })
    file.text = one
    await token.authorize()
    clock.advance(31_000)
    const two = jwt({ exp: inSeconds(3600) })
    file.text = two
    const [first, second] = await Promise.all([token.authorize(), token.authorize()])
    assert.deepEqual([first, second], Array(2).fill({ ok: true, authorization: `Bearer ${one}` }))
    assert.equal(file.reads, 2)
    assert.deepEqual(await token.authorize(), { ok: true, authorization: `Bearer ${two}` })
  })

  it('is shown as long as it is good when the file cannot be read any more', async () => {
    const { file, token, clock, inSeconds } = setUp('')
    file.text = jwt({ exp: inSeconds(120) })
    await token.authorize()
    clock.advance(31_000)
    file.text = new Error('gone')
    assert.ok((await token.authorize()).ok)
    assert.ok((await token.authorize()).ok)
    clock.advance(59_000)
    assert.deepEqual(await status(token), { code: 14, message: 'call_creds: jwt_token_file /token: gone' })
  })

  it('calls that wait for one read share its result', async () => {
    const { file, token, inSeconds } = setUp('')
    file.text = jwt({ exp: inSeconds(3600) })
    const found = await Promise.all([token.authorize(), token.authorize(), token.authorize()])
    assert.ok(found.every(({ ok }) => ok))
    assert.equal(file.reads, 1)
  })

  it('a file that cannot be read is UNAVAILABLE, and is tried again after a delay that grows', async () => {
    const { file, token, clock, inSeconds } = setUp(new Error('ENOENT'))
    assert.deepEqual(await status(token), { code: 14, message: 'call_creds: jwt_token_file /token: ENOENT' })
    clock.advance(999)
    assert.equal((await status(token)).code, 14)
    assert.equal(file.reads, 1)
    clock.advance(1)
    await status(token)
    assert.equal(file.reads, 2)
    clock.advance(1599)
    await status(token)
    assert.equal(file.reads, 2)
    clock.advance(1)
    file.text = jwt({ exp: inSeconds(10) })
    assert.ok((await token.authorize()).ok)
    // The delay begins anew once it was read.
    file.text = new Error('ENOENT')
    await status(token)
    clock.advance(1000)
    await status(token)
    assert.equal(file.reads, 5)
  })

  it('what is no token with an expiration time is UNAUTHENTICATED', async () => {
    const bad = ['', 'a.b', 'a.b.c.d', `${jwt({ exp: 4e9 })}\nx: y`, 'e30.!!.c2ln', `e30.${part('text')}.c2ln`]
    for (const text of [...bad, 'e30.YQ.c2ln', jwt({}), jwt({ exp: '4000000000' }), jwt({ exp: 0 }), jwt(null)]) {
      const { token } = setUp(text)
      const message = 'call_creds: jwt_token_file /token: is no JWT with an expiration time (exp)'
      assert.deepEqual(await status(token), { code: 16, message }, text)
    }
  })
})
